"""How a command of the command line starts and ends: errors in one line, exit codes, the command that resumes."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from fame.errors import FameError

STOPPED = 130  # exit code after Ctrl-C


def start(program: Callable[..., Any]) -> int:
    """Run a typer program; every error that a user can cause becomes one line. FAME_DEBUG=1 shows the traceback."""
    logging.getLogger().addHandler(logging.NullHandler())  # other packages' warnings are not the reader's concern
    warn = logging.StreamHandler(sys.stderr)
    warn.setFormatter(logging.Formatter("warning: %(message)s"))
    logging.getLogger("fame").handlers = [warn]
    try:
        code = int(program(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except Exception as error:
        if os.environ.get("FAME_DEBUG"):
            raise
        if hasattr(error, "format_message"):  # typer's own: an unknown option, a missing value
            _say(f"error: {' '.join(error.format_message().split())}")
            return 2
        if isinstance(error, FameError):
            _say(f"error: {error}")
            return error.code
        hint = "FAME_DEBUG=1 shows where"
        _say(f"error: {type(error).__name__}: {' '.join(str(error).split())} (unexpected; {hint})")
        return 1
    if code == STOPPED:  # typer makes this code of a KeyboardInterrupt
        _say(f"stopped; finished runs and epochs are kept. Continue with: {resuming()}")
    return code


def resuming() -> str:
    """The command that was typed, to be typed again."""
    words = list(getattr(sys, "orig_argv", sys.argv))
    script = Path(sys.argv[0])
    if script.suffix != ".py" and len(words) > 1 and Path(words[1]) == script:  # a console command, started by its interpreter
        words = words[1:]
        words[0] = script.name if shutil.which(script.name) == str(script) else os.path.relpath(script)
    return shlex.join(words)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
