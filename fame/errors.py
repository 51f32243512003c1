"""The one exception that a user can cause: its text is the whole message, one line with what is wrong, where, and the mend."""


class FameError(Exception):
    """Shown as one line, without a traceback; the command exits with `code`."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(" ".join(message.split()))
        self.code = code
