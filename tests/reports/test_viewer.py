"""The viewer serves the report on this machine only, and says clearly when there is none."""

import socket
import threading
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from fame.errors import FameError
from reports import viewer
from reports.page import build
from studies.harness.store import Store


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<h1>the page</h1>", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("outside", encoding="utf-8")
    return tmp_path


def test_without_a_report_the_mend_is_named(tmp_path: Path) -> None:
    with pytest.raises(FameError, match=r"nothing was run there yet .* name the folder with --out"):
        viewer.view(Store(tmp_path), partial(build, Store(tmp_path)))


def test_serves_the_report_and_nothing_else(out: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with viewer.serve(out) as server:
        host, port = server.server_address[:2]
        assert host == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            assert b"the page" in answer.read() and answer.headers["Cache-Control"] == "no-store"
        (out / "report" / ".stamp.json").write_text("{}")
        (out / "report" / "figures").mkdir()
        (out / "report" / "link").symlink_to(tmp_path_factory.mktemp("elsewhere"))
        for path in (
            "../secret.txt",
            "secret.txt",
            "%2e%2e/secret.txt",
            "report/.stamp.json",
            "report/figures/",
            "report/link",
        ):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                opener.open(f"http://127.0.0.1:{port}/{path}", timeout=5)
        foreign = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": f"evil.example.com:{port}"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            opener.open(foreign, timeout=5)
        server.shutdown()


def test_a_taken_port_is_a_clear_line(out: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(FameError, match="name another with --port"):
            viewer.serve(out, taken.getsockname()[1])
    with pytest.raises(FameError, match="--port"):
        viewer.serve(out, 70000)


def test_prints_the_path_without_a_browser(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    viewer.view(Store(out), list, open_browser=False)
    assert capsys.readouterr().out.strip() == str((out / "report" / "index.html").resolve())


def test_opens_the_browser_at_its_own_address(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(viewer.webbrowser, "open", lambda address: bool(opened.append(address)))
    monkeypatch.setattr(viewer.ThreadingHTTPServer, "serve_forever", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    viewer.view(Store(out), list)
    assert len(opened) == 1 and opened[0].startswith("http://127.0.0.1:") and opened[0] in capsys.readouterr().out
