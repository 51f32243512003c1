"""The command line: what a user types, and what is answered."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

import run_study
from studies.harness.store import Store
from studies.harness.worker import STAGES
from studies.paper.registry import FINDINGS, STUDIES, studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SCALES
from tests.fake_stages import FAKES
from tests.harness.test_runner import Here

Typed = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture(name="typed")
def typed_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """Run a command in an empty folder, with fake stages in this process; its exit code."""
    monkeypatch.chdir(tmp_path)
    for kind, fake in FAKES.items():
        monkeypatch.setitem(STAGES, kind, fake)
    monkeypatch.setattr("studies.harness.runner.LocalWorkers", lambda out, jobs, runtime: Stopping(Store(out), 2, runtime))
    for module in ("run_study", "studies.cli.session", "studies.cli.searching"):
        monkeypatch.setattr(f"{module}.Tracker", lambda out, warn: None)
    monkeypatch.delenv("FAME_DEBUG", raising=False)

    def call(*words: str, program: object = run_study.app) -> int:
        monkeypatch.setattr(sys, "argv", ["run_study.py", *words])
        return run_study.start(program)  # type: ignore[arg-type]

    return call


class Stopping(Here):
    def stop(self) -> None:
        """It has no process to end."""


def test_run_status_and_a_second_run(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "area_ratio", "--scale", "smoke", "--replicates", "2") == 0
    out = capfd.readouterr().out
    assert "56 runs, 56 to do" in out
    assert "time: unknown" in out
    assert "[56/56]" in out
    assert "56 runs done, 0 were there." in out
    assert typed("run", "area_ratio", "--scale", "smoke", "--replicates", "2") == 0
    assert capfd.readouterr().out.startswith("0 runs done, 56 were there.")
    assert typed("status") == 0
    assert capfd.readouterr().out.strip() == "out: 56 finished"


def test_failures_are_listed_and_the_exit_code_is_1(typed: Typed, capfd: Captured) -> None:
    stages = [stage for stage, _ in all_stages(Setting(SCALES["smoke"]), studies(["retrieval"])).values()]
    broken = next(stage for stage in stages if stage.kind == "pretrain")
    Store("out").prepare()
    Path("out/plan.json").write_text(json.dumps({broken.id: "fail"}))
    assert typed("run", "retrieval", "--scale", "smoke") == 1
    out, err = capfd.readouterr()
    assert f"failed: pretrain random (out/runs/{broken.id}/0): RuntimeError: it did not work" in err
    assert err.count("skipped: its pretraining") == 2
    assert typed("status") == 0
    out = capfd.readouterr().out
    assert "12 finished, 1 failed, 2 not begun" in out
    assert "it did not work" in out


def test_status_tells_running_from_broken_off(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    (folder,) = [path.parent for path in list(Path("out/runs").rglob("encoder.pt"))[:1]]
    (folder / "result.json").unlink()
    capfd.readouterr()
    assert typed("status") == 0
    assert "1 broken off" in capfd.readouterr().out
    with FileLock(folder / ".lock"):
        assert typed("status") == 0
    assert "1 running" in capfd.readouterr().out


def test_reproduce_paper_builds_the_report_and_tells_where_it_is(typed: Typed, capfd: Captured) -> None:
    words = ["--scale", "smoke", "--only", "temporal_kernels", "--replicates", "2"]
    assert typed(*words, program=run_study._single(run_study.reproduce)) == 0
    out = capfd.readouterr().out
    assert "Report: out/report/index.html" in out
    assert "Verdicts on the paper's claims: " in out
    page = Path("out/report/index.html").read_bytes()
    assert typed("report") == 0
    assert Path("out/report/index.html").read_bytes() == page, "what was asked for is read from the records"


def test_search_uses_what_is_there_and_goes_on(typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    monkeypatch.setattr("studies.search.workers.LocalWorkers", lambda out, jobs, runtime: Stopping(Store(out)))
    for _ in range(2):
        assert typed("search", "--scale", "smoke", "--trials", "1") == 0
    out = capfd.readouterr().out
    assert out.count("best merge.beta 0.5: 50.0 ± 35.4 % val/balanced/top1 (linear probe") == 2
    assert out.count("trial 0: merge.beta 0.5: 50.0 ± 35.4 %") == 1 and "optuna-dashboard" in out
    assert out.count("done in") == 2, "a trial that is there is not run again"


def test_list_shows_studies_and_findings_apart(typed: Typed, capfd: Captured) -> None:
    assert typed("list") == 0
    papers, mark, findings = capfd.readouterr().out.partition("question")
    assert mark and "C12" in papers and "C10" in findings
    for study in FINDINGS:
        assert study.name in findings and study.question in findings
        assert f" {study.name} " not in papers
    assert all(f" {study.name} " in papers for study in STUDIES)
    assert typed("list", "--rows") == 0
    names = capfd.readouterr().out.splitlines()
    assert "area_ratio/0.5/single" in names
    assert all(len(studies([name])[0].rows) == 1 for name in names)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--replicates", "2"], "): none, as a verdict needs 3 replicates"),
        (["--replicates", "10", "--scale", "quick"], "): unknown: no selection worlds were run at this scale"),
        (["temporal_kernels"], None),  # it does not ask for the headline
        (["--scale", "smoke"], None),  # its numbers mean nothing
    ],
)
def test_plan_says_which_effect_is_detected(typed: Typed, capfd: Captured, words: list[str], told: str | None) -> None:
    assert typed("plan", "--scale", "mini", *words) == 0
    line = capfd.readouterr().out.splitlines()[-1]
    assert line.startswith("smallest effect that n = ") == (told is not None)
    assert told is None or line.endswith(told)
