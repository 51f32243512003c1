"""Shows a finished report: serves OUT/report on this machine only, and opens the browser where there is one."""

import contextlib
import functools
import sys
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from fame.errors import FameError
from studies.records import EARLIER

HOST = "127.0.0.1"


class Quiet(SimpleHTTPRequestHandler):
    """Serve OUT's reports and nothing else: no folder's list, no hidden file, no link that leads out, no other host's name."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer 403 to a request under a foreign name (DNS rebinding), and 404 to what is not a plain file of the report."""
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self.send_error(403, "served to this machine alone")
            return None
        if self.path == "/":
            self.path = "/report/index.html"
        root, path = Path(self.directory).resolve(), Path(self.translate_path(self.path))
        parts = path.relative_to(self.directory).parts
        shown = parts and parts[0] in ("report", EARLIER) and not any(part.startswith(".") for part in parts)
        if not shown or not path.is_file() or not path.resolve().is_relative_to(root):
            self.send_error(404)
            return None
        return super().send_head()

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
    """A server for the reports of OUT on 127.0.0.1, bound but not yet running. FameError where a named port is taken."""
    page = page_of(out)
    handler = functools.partial(Quiet, directory=str(page.parents[1]))
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
        address = f"http://{HOST}:{server.server_address[1]}/report/index.html"
        say(f"{page} at {address} (Ctrl-C ends)")
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
