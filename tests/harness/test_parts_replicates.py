"""A study in parts by its replicates: which are chosen, what is said while some are missing, and the commands over two machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fame.errors import FameError
from reports.standing import standing
from studies.harness.parts import unpack
from studies.harness.store import Store
from studies.setting.asked import Asked, resolve
from studies.setting.options import Options
from studies.setting.replicates import listed, part_of
from studies.setting.resolve import all_stages
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.filled import reported, seen
from tests.harness.test_parts import copied, packed_parts, three_replicates  # noqa: F401 (fixtures)

# ---------------------------------------------------------------- which replicates


def test_the_scale_fixes_the_replicates_and_part_chooses_among_them(tmp_path: Path) -> None:
    mini = resolve(Options(scale="mini"), tmp_path, 1)
    assert mini.replicates[0] == 1 and len(mini.replicates) == mini.setting.scale.replicates
    assert resolve(Options(scale="mini", replicates=2), tmp_path, 1).replicates == (1, 2)
    assert resolve(Options(scale="quick"), tmp_path, 1).replicates == (0,)
    assert resolve(Options(scale="mini", part="2-3,5"), tmp_path, 1) == mini
    assert mini.to_json()["replicates"] == list(mini.replicates)
    assert part_of("4, 1-2,2", range(1, 7)) == (1, 2, 4) and listed((1, 2, 4, 6, 7)) == "1-2, 4, 6-7"


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "0", "7", "2-9", "1;2", "²", "1-2-3"])
def test_a_part_outside_the_study_is_one_line(text: str) -> None:
    with pytest.raises(FameError, match=r"^--part .*the study's replicates are 1-6"):
        part_of(text, range(1, 7))


# ---------------------------------------------------------------- while replicates are missing


def test_interim_is_said_and_uneven_runs_are_named(study: tuple[Store, Asked], parts: Path, tmp_path: Path) -> None:
    _, asked = study
    store = Store(tmp_path / "out").prepare()
    for number in (2, 3):
        copied(parts, tmp_path / "two", number)
    unpack(tmp_path / "two", store)
    gone = next(stage for stage, _ in all_stages(asked.setting, asked.studies).values() if stage.kind == "masks")
    (store.folder(gone.id, 3) / "result.json").unlink()
    store.fail(gone, 3, "out of memory")
    found = standing(seen(store, asked.setting, asked.replicates, asked.studies))
    assert found["interim"] == "interim: 1 of 3 replicates" and found["begun"] == [2, 3] and found["done"] == [2]
    few, lost = found["remarks"]
    fixed = asked.setting.scale.replicates
    assert few == f"This study has 3 replicates (1-3), fewer than the {fixed} that were fixed for the mini scale beforehand."
    assert lost == "Replicate 3 lacks 1 runs that other replicates have, 1 of them failed: masks A."
    page = reported(store, asked.setting, asked.studies, asked.replicates)
    html, report = page.read_text(encoding="utf-8"), json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert "<b>Interim: 1 of 3 replicates.</b>" in html and lost in html and "1 of 3 replicates done" in html
    assert {claim["verdict"] for claim in report["claims"]} <= {"inconclusive", "not run"}
    table = (page.parent / "tables" / "retrieval.md").read_text(encoding="utf-8")
    assert "Interim: every cell has 2 of the 3 replicates." in table
    masks = (page.parent / "tables" / "mask_quality.md").read_text(encoding="utf-8")
    assert "Interim: every cell has 1 of the 3 replicates." in masks


# ---------------------------------------------------------------- the command line


def test_in_parts_over_two_machines(typed: Typed, capfd: Captured) -> None:
    words = ["run", "temporal_kernels", "--scale", "mini", "--replicates", "3"]
    assert typed(*words, "--part", "2,3", "--out", "first") == 0
    out = capfd.readouterr().out
    assert "0 of 3 replicates done. In this part: 2-3." in out and "2 of 3 replicates done (2-3). The tables:" in out
    assert json.loads(Path("first/setting.json").read_text())["replicates"] == [1, 2, 3]
    assert {path.name for path in Path("first/runs").glob("*/*")} == {"2", "3"}
    assert typed("pack", "parts", "--out", "first", "--part", "3") == 0
    assert "parts/replicate-0003.tar.gz: 8 of 8 runs, " in capfd.readouterr().out
    assert typed("pack", "parts", "--out", "first", "--part", "4") == 2
    assert "there is no replicate 4; the study's replicates are 1-3" in capfd.readouterr().err
    assert typed("pack", "parts", "--out", "first") == 0
    capfd.readouterr()
    assert typed("unpack", "parts", "--out", "second") == 0
    assert capfd.readouterr().out == "16 runs unpacked, 0 were there. 2 of 3 replicates done (2-3).\n"
    assert typed("status", "--out", "second") == 0
    assert capfd.readouterr().out == "second: 16 finished, 8 not begun. 2 of 3 replicates done (2-3).\n"
    assert typed("plan", "temporal_kernels", "--scale", "mini", "--replicates", "3", "--out", "second") == 0
    assert "24 runs, 8 to do" in capfd.readouterr().out
    assert typed(*words, "--out", "second") == 0
    out = capfd.readouterr().out
    assert "8 runs done, 16 were there. The tables:" in out and "replicates done" not in out.splitlines()[-1]
    assert typed("unpack", "parts", "--out", "second") == 0
    assert capfd.readouterr().out == "0 runs unpacked, 16 were there.\n"
