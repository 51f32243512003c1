"""Errors on the command line: one line and a non-zero exit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "no_such_study"], "unknown study no_such_study; the studies are "),
        (["plan", "--scale", "huge"], "--scale huge: it must be 'smoke', 'quick', 'mini' or 'paper'"),
        (["plan", "--codec", "jpeg"], "--codec jpeg goes with a dataset on disk"),
        (["run", "--scale", "paper"], "--dataset paper: where are the videos? add --data-root DIR"),
        (["plan", "--scale", "paper", "--dataset", "staged"], "scale paper needs real videos: add --dataset"),
        (["plan", "--dataset", "ucf101", "--data-root", "nowhere"], "--data-root nowhere: there is no such folder"),
        (["plan", "--data-root", "."], "--data-root . goes with a dataset on disk"),
        (["plan", "--scale", "mini", "--part", "0"], "--part 0: there is no replicate 0; the study's replicates are 1-8"),
        (["pack", "parts", "--out", "new"], "new: nothing was run there yet"),
        (["unpack", "parts", "--out", "new"], "parts: holds no replicate-NNNN.tar.gz"),
        (["plan", "--jobs", "0"], "--jobs 0: it must be at least 1"),
        (["plan", "--jobs", "two"], "--jobs two: it must be a whole number"),
        (["plan", "--frames", "1"], "--frames 1: it must be at least 2"),
        (["plan", "--ranks", "3"], "ranks = 3: a batch of 32 is shared by them equally"),
        (["plan", "--ranks", "2", "--nnodes", "2"], "--nnodes 2 wants --ranks, a multiple of it, --rdzv-endpoint HOST:PORT"),
        (["plan", "--accumulate", "5"], "accumulate = 5: a batch of 32 on one device is cut in so many equal pieces"),
        (["plan", "--device", "tpu"], "unknown device 'tpu'; the devices are auto, cpu and cuda"),
        (["plan", "--pretrained", "gone.pt"], "--pretrained gone.pt: cannot be read"),
        (["run", "--pretrained", "text.pt"], "text.pt is text, not weights (it begins 'version https://git-lfs')"),
        (["plan", "--out", "file/out"], "file/out: cannot write there"),
        (["plan", "--no-such-option"], "No such option: --no-such-option; see "),
        (["no-such-verb"], "no-such-verb"),
        (["plan", "--scale", "smoke", "--protocol", "official", "--size", "64"], "frames are of 48 pixels, smaller than"),
        (["plan", "--scale", "smoke", "--protocol", "official", "--frames", "32"], "fewer than the 64 of a clip"),
        (["status", "--out", "damaged"], "damaged/setting.json: damaged, or not to be read"),
        (
            ["status", "--out", "foreign"],
            "foreign/setting.json: damaged, or of another version of the program (options = 3: ",
        ),
        (["report", "--out", "damaged"], "damaged: nothing was run there yet"),
        (["view", "--out", "new"], "new: nothing was run there yet"),
        (["data", "scan", "--dataset", "staged"], "rendered, not scanned"),
        (["search", "--scale", "smoke", "--trials", "0"], "'--trials': "),
        (
            ["search", "--scale", "smoke", "--objective", "test"],
            "--objective test: there is none of that name; choose balanced, own",
        ),
        (["search", "--scale", "smoke", "--pruner", "some"], "'some' is not one of 'none', 'median'"),
        (
            ["search", "--scale", "smoke", "--storage", "sqlite:///no/where/x.db"],
            "--storage sqlite:///no/where/x.db: it cannot be opened",
        ),
    ],
)
def test_an_error_of_the_user_is_one_line_and_exit_code_2(words: list[str], told: str, typed: Typed, capfd: Captured) -> None:
    Path("file").write_text("")
    Path("text.pt").write_text("version https://git-lfs")
    for name, text in (("damaged", '{"options": '), ("foreign", '{"options": 3, "replicates": [0]}')):
        Path(name).mkdir()
        Path(name, "setting.json").write_text(text)
    assert typed(*words) == 2
    out, err = capfd.readouterr()
    assert told in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err


def test_an_unexpected_error_is_one_line_too_and_debug_shows_where(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("it divides")

    monkeypatch.setattr("studies.cli.session.show_plan", broken)
    assert typed("plan", "--scale", "smoke") == 1
    err = capfd.readouterr().err
    assert err == "error: ZeroDivisionError: it divides (unexpected; FAME_DEBUG=1 shows where)\n"
    monkeypatch.setenv("FAME_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        typed("plan", "--scale", "smoke")


def test_results_of_another_version_stay_readable(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    for path in (*Path("out/runs").rglob("config.json"), Path("out/setting.json")):
        path.write_text(json.dumps({"config": {"stage": "flux"}, "upstream": None, "scale": 7}))
    assert typed("report") == 0
    found = json.loads(Path("out/report/report.json").read_text())
    statuses = {entry["status"] for entry in found["tables"]["temporal_kernels"]}
    assert statuses and not {"failed", "not run"} & statuses
    assert found["runs"]["finished"] == found["runs"]["planned"]
    cells = Path("out/cells.csv")
    cells.write_text(cells.read_text().splitlines()[0])
    capfd.readouterr()
    assert typed("report") == 2
    assert capfd.readouterr().err.startswith("error: out: cells.csv or study.json is damaged (empty)")


def test_a_disk_that_is_too_small_is_told_before_anything_starts(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=3_000_000))
    assert typed("run", "--scale", "smoke") == 2
    err = capfd.readouterr().err
    assert "3.0 MB are free; make room or choose another folder with --out" in err
    assert not list(Path("out/runs").iterdir())
