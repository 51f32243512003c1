"""Shows a finished report: serves OUT/report on this machine only, and opens the browser where there is one."""

from __future__ import annotations

import contextlib
import functools
import sys
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fame.errors import FameError

HOST = "127.0.0.1"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line a request, and never from a cache: a report changes while runs finish."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to the one line that says where to look."""


def page_of(out: Path | str) -> Path:
    """OUT/report/index.html. FameError where there is no report yet."""
    page = Path(out) / "report" / "index.html"
    if not page.is_file():
        raise FameError(f"{page}: no report there yet; run reproduce-paper (or run_study.py report) with --out {out} first")
    return page


def serve(out: Path | str, port: int | None = None) -> ThreadingHTTPServer:
    """A server for OUT/report on 127.0.0.1, bound but not yet running; a free port where none is named. FameError where taken."""
    page = page_of(out)
    handler = functools.partial(Quiet, directory=str(page.parent))
    try:
        return ThreadingHTTPServer((HOST, port or 0), handler)
    except (OSError, OverflowError) as error:
        raise FameError(f"port {port}: cannot serve there ({error}); name another with --port") from None


def view(out: Path | str, port: int | None = None, open_browser: bool = True) -> None:
    """Serve OUT/report until Ctrl-C and open it in the browser; without browser and port only print where it lies."""
    page = page_of(out)
    if not open_browser and port is None:
        say(str(page.resolve()))
        return
    with serve(out, port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/"
        say(f"{page} at {address} (Ctrl-C ends)")
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
