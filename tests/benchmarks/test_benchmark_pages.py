"""What benchmarks write: a study read back from its folder, results as JSON and Markdown, and what is kept of a machine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import step, writing
from benchmarks.figures import MISSED, REACHED, UNMEASURED, Sheet, Target
from benchmarks.limits import Limits
from benchmarks.study import _alike, profile
from benchmarks.timing import spread
from fame.errors import FameError

# ---------------------------------------------------------------- a study read back


def lay_run(out: Path, kind: str, name: str, end: int, seconds: float, **more) -> None:
    folder = out / "runs" / name / "0"
    folder.mkdir(parents=True)
    stamp = f"2026-01-01T00:{end // 60:02d}:{end % 60:02d}+0000"
    hardware = {"cores": 2, "machine": "0"}
    result = {"stage": name, "kind": kind, "metrics": {}, "seconds": seconds, "finished": stamp, "hardware": hardware, **more}
    (folder / "result.json").write_text(json.dumps(result))
    if kind == "pretrain":
        line = {"seconds": seconds, "waiting": 0.1, "augmenting": 0.3}
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")


def test_where_a_studys_minutes_went(tmp_path: Path) -> None:
    """Two workers: pretrainings 0..60 and 0..40, then a probe 40..60 seconds; and 20 seconds in which one waits for the other."""
    lay_run(tmp_path, "pretrain", "a" * 12, 60, 60.0)
    lay_run(tmp_path, "pretrain", "b" * 12, 40, 40.0)
    lay_run(tmp_path, "probe", "c" * 12, 60, 20.0)
    lay_run(tmp_path, "masks", "d" * 12, 80, 20.0)
    found = profile(tmp_path)
    assert list(found.by_kind()) == ["pretrain", "probe", "masks"]
    assert (found.workers, found.computing) == (2, 80.0)
    assert found.idle == pytest.approx(20 / 160)
    assert sum(run.augmented for run in found.runs) == pytest.approx(30)
    assert found.preparing == found.reporting == 0


def test_a_study_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FameError, match="no finished runs"):
        profile(tmp_path)
    lay_run(tmp_path, "probe", "a" * 12, 60, 20.0, resumed=True)
    with pytest.raises(FameError, match="broken off"):
        profile(tmp_path)


@pytest.mark.parametrize(
    ("before", "now", "alike"),
    [
        (("A CPU", "1"), ("A CPU (AVX2)", "2"), True),  # named without units in earlier versions
        (("A CPU (AVX2)", "2"), ("A CPU (AVX2)", "2"), True),
        (("A CPU (AVX-512)", "3"), ("A CPU (AVX2)", "2"), False),
        (("Another CPU", "1"), ("A CPU (AVX2)", "2"), False),
    ],
)
def test_studies_are_compared_on_one_machine_only(tmp_path: Path, before, now, alike: bool) -> None:
    for name, (processor, machine) in (("before", before), ("now", now)):
        hardware = {"cores": 2, "machine": machine, "processor": processor}
        lay_run(tmp_path / name, "probe", "a" * 12, 60, 20.0, hardware=hardware)
    assert _alike(*(profile(tmp_path / name).runs for name in ("before", "now"))) is alike


# ---------------------------------------------------------------- writing


TARGET = Target("a thing", 2.0, "x", at_most=False)
MACHINE = {"processor": "Some (R) CPU", "cores": 2, "machine": "0a1b2c3d"}


def a_record(ratio: float = 3.0) -> dict:
    sheet = Sheet("merge", "Merging", {"batch": [2, 3], "threads": 1}, notes=["A note."])
    sheet.add("a / b", spread([ratio, ratio + 0.5]), "x", least=1.5, target=TARGET)
    sheet.add("a", spread([1.0]), "ms")
    sheet.skip(Target("another", 1.0, "s", at_most=True), "no GPU")
    limits = Limits("cpu", 1, 1e9, 2e9, {"fp32": 3e9})
    found = writing.record(
        [sheet.outcome()], [limits], "cpu", {"merge": (TARGET, sheet.unmeasured[0][0]), "step": step.TARGETS[:1]}
    )
    return {**found, "hardware": MACHINE}


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    found = a_record()
    first, second = writing.write(found, tmp_path), writing.write(found, tmp_path)
    assert len({*first, *second}) == 4, "nothing is overwritten"
    assert writing.read(first[0]) == json.loads(json.dumps(found))
    text = first[1].read_text()
    assert "| a thing | >= 2 x | 3.25 (3.12 to 3.38) | reached |" in text
    assert f"{UNMEASURED}: no GPU" in text and f"{UNMEASURED}: benchmark `step` was not asked for" in text
    assert "| a / b | 3.25 | 3.12 to 3.38 | x | 1.5 | 2.17 x | reached |" in text


def test_a_target_missed_is_called_so() -> None:
    assert f"1.25 (1.12 to 1.38) | {MISSED} |" in writing.target_table(a_record(1.0))
    assert TARGET.reached(2.0) and not replace(TARGET, at_most=True).reached(2.1)
    assert Sheet("x", "x", why_not="small").outcome().figures == []


def test_keeping_renews_a_machines_file_and_the_page(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{writing.BEGIN}\nold\n{writing.END}\nafter\n")
    data, _ = writing.keep(a_record(1.0), tmp_path)
    again = a_record(3.0)
    again["outcomes"] = {"other": again["outcomes"].pop("merge")}
    assert writing.keep(again, tmp_path)[0] == data
    assert set(writing.read(data)["outcomes"]) == {"merge", "other"}, "what was not measured again stays"
    writing.keep(a_record(4.0), tmp_path)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "### Some (R) CPU, 2 cores" in text and REACHED in text
    page.write_text("no markers")
    with pytest.raises(FameError, match="markers"):
        writing.keep(a_record(), tmp_path)
