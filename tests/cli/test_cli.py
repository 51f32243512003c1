"""The command line: what a user types, and what is answered."""

from __future__ import annotations

import json
import os
import re
import subprocess
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
    monkeypatch.setattr("studies.cli.session.LocalWorkers", lambda out, jobs, runtime: Here(Store(out), 2, runtime))
    for module in ("run_study", "studies.cli.session"):
        monkeypatch.setattr(f"{module}.Tracker", lambda *_: None)
    monkeypatch.delenv("FAME_DEBUG", raising=False)

    def call(*words: str, program: object = run_study.app) -> int:
        monkeypatch.setattr(sys, "argv", ["run_study.py", *words])
        return run_study.start(program)  # type: ignore[arg-type]

    return call


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


def test_names_that_are_typed_stand_whole_at_80_columns(typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    monkeypatch.setattr(run_study.console, "width", 80)
    assert typed("list") == 0
    lines = capfd.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert {study.name for study in (*STUDIES, *FINDINGS)} <= {line.split()[1] for line in lines if len(line.split()) > 1}


@pytest.mark.parametrize("program", ["reproduce_paper", "search_beta", "view_report", "plan"])
def test_every_command_tells_its_version(typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured, program: str) -> None:
    if program == "plan":
        assert typed("plan", "--version") == typed("--version") == 0
    else:
        monkeypatch.setattr(sys, "argv", [program, "--version"])
        with pytest.raises(SystemExit, match="0"):
            getattr(run_study, program)()
    assert all(
        re.fullmatch(r"fame-reproduction \S+, commit \S+, torch \S+, Python \S+", line)
        for line in capfd.readouterr().out.splitlines()
    )


@pytest.mark.parametrize(
    ("typed_so_far", "offered"),
    [
        ("reproduce-paper --scale ", {"smoke", "quick", "mini", "paper"}),
        ("reproduce-paper --dataset k", {"kinetics400"}),
        ("reproduce-paper --only cl", {"claims"}),
        ("reproduce-paper area_ratio/0.5/", {"area_ratio/0.5/single", "area_ratio/0.5/both"}),
    ],
)
def test_a_shell_completes_values(typed_so_far: str, offered: set[str]) -> None:
    words = {"_REPRODUCE_PAPER_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    program = "import sys, run_study; sys.argv = ['reproduce-paper']; run_study.reproduce_paper()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | words | {"_TYPER_COMPLETE_ARGS": typed_so_far},
        cwd=Path(run_study.__file__).parent,
        capture_output=True,
        text=True,
    )
    assert set(done.stdout.split()) == offered


def test_a_plan_of_the_published_sets_needs_none_of_them(typed: Typed, capfd: Captured) -> None:
    assert typed("plan", "--scale", "paper") == 0
    out = capfd.readouterr().out
    assert "95 runs, 95 to do" in out
    assert "A run needs DIR/ucf101 (UCF101, 7 GB), " in out and "ucf101: 9537 train, 3783 test" in out
    assert typed("plan", "--dataset", "hmdb51", "--fold", "2") == 0
    assert "hmdb51, fold 2: 3570 train, 1530 test" in capfd.readouterr().out
    assert typed("plan", "--dataset", "folder") == 2, "nobody published it"


@pytest.mark.parametrize("words", [["plan", "--only", "retrieval"], ["run", "--only", "temporal_kernels"]])
def test_few_replicates_are_told_beforehand_to_decide_nothing(typed: Typed, capfd: Captured, words: list[str]) -> None:
    assert typed(*words, "--scale", "quick") == 0
    told, _, after = capfd.readouterr().out.partition("n = 1 shows numbers and decides no claim: a verdict needs 3 replicates")
    assert after and "runs done" not in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--replicates", "10", "--epochs", "3"], "): unknown: the scale's network, clip or epochs were changed"),
        (["temporal_kernels"], None),  # it does not ask for the headline
        (["--scale", "smoke"], None),  # its numbers mean nothing
    ],
)
def test_plan_says_which_effect_is_detected(typed: Typed, capfd: Captured, words: list[str], told: str | None) -> None:
    assert typed("plan", "--scale", "mini", *words) == 0
    line = capfd.readouterr().out.splitlines()[-1]
    assert line.startswith("smallest effect that n = ") == (told is not None)
    assert told is None or line.endswith(told)
