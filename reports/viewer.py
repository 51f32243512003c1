"""Show a report: serve OUT/report on this machine only, from the start of a study on, and make it anew while runs finish."""

import contextlib
import functools
import os
import sys
import time
import webbrowser
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import BinaryIO

from fame.errors import FameError
from studies.harness.store import FAILURE, RESULT, Store
from studies.records import CELLS, EARLIER

HOST = "127.0.0.1"
LOOK = 3.0  # seconds between two looks at what was run
REST = 5.0  # times that making the page took: so much later comes the next look, as runs need the processors


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


def serve(out: Path | str, port: int | None = None) -> ThreadingHTTPServer:
    """A server for the reports of OUT on 127.0.0.1, bound but not yet running. FameError where a named port is taken."""
    handler = functools.partial(Quiet, directory=str(Path(out).absolute()))
    try:
        return ThreadingHTTPServer((HOST, port or 0), handler)
    except (OSError, OverflowError) as error:
        raise FameError(f"port {port}: cannot serve there ({error}); name another with --port") from None


def view(store: Store, make: Callable[[], Path], port: int | None = None, open_browser: bool = True) -> None:
    """Serve OUT/report until Ctrl-C, open it in the browser, and `make` it anew as runs finish; FameError where nothing was run.

    Without browser and port only print where it lies.
    """
    page = store.out / "report" / "index.html"
    if not page.is_file():
        page = make()
    if not open_browser and port is None:
        say(str(page.resolve()))
        return
    with serve(store.out, port) as server:
        address = f"http://{HOST}:{server.server_address[1]}/report/index.html"
        say(f"{page} at {address} (Ctrl-C ends)")
        Thread(target=keep_new, args=(store, make), daemon=True).start()
        if open_browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def keep_new(store: Store, make: Callable[[], Path], look: float = LOOK) -> None:
    """Make the page anew whenever something was run since: looked at every `look` seconds, less often where making it is slow."""
    os.nice(10)  # this thread's alone on Linux: the study goes first
    page, pause = store.out / "report" / "index.html", look
    seen = page.stat().st_mtime if page.is_file() else 0.0
    while True:
        with contextlib.suppress(FameError, OSError):  # a study that begins moves the report away; the next look makes it anew
            began, latest = time.monotonic(), changed(store)
            if latest > seen or not page.is_file():
                make()
                seen = latest
                pause = max(look, REST * (time.monotonic() - began))
        time.sleep(pause)


def changed(store: Store) -> float:
    """Return when the last run ended, or the study began: a Unix time; 0 where there is none."""
    files = [store.out / CELLS, *store.runs.glob(f"*/*/{RESULT}"), *store.runs.glob(f"*/*/{FAILURE}")]
    return max((path.stat().st_mtime for path in files if path.exists()), default=0.0)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
