"""Report what a user can cause: one line that says what is wrong, where, and how to mend it."""


class FameError(Exception):
    """An error of the user's: shown as one line, without a traceback; the command exits with `code`."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code


class NotFinite(FameError):
    """A loss or features that are NaN or infinite: training that goes on from there gives nothing else."""
