"""The command line: what a user types, what is answered, and that every error of theirs is one line and a non-zero exit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_stages import FAKES
from test_runner import Here, living

import run_study
from studies.asked import recall
from studies.choices import Choices, resolve
from studies.resolve import Setting
from studies.scales import scale
from studies.sizing import with_overrides
from studies.spread import spread_at
from studies.store import Store

ROOT = Path(__file__).resolve().parents[1]
Typed = Callable[..., int]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """`typed("plan", "--scale", "smoke")` is that command's exit code, in an empty folder, with fake stages in this process."""
    monkeypatch.chdir(tmp_path)
    for kind, fake in FAKES.items():
        monkeypatch.setitem(__import__("studies.worker").worker.STAGES, kind, fake)
    monkeypatch.setattr("studies.runner.LocalWorkers", lambda out, jobs, runtime: Stopping(Store(out)))
    for module in ("run_study", "studies.session"):
        monkeypatch.setattr(f"{module}.tracker", lambda store, warn: None)
    monkeypatch.delenv("FAME_DEBUG", raising=False)

    def call(*words: str, program: object = run_study.app) -> int:
        monkeypatch.setattr(sys, "argv", ["run_study.py", *words])
        return run_study.start(program)  # type: ignore[arg-type]

    return call


class Stopping(Here):
    def stop(self) -> None:
        """It has no process to end."""


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "no_such_study"], "unknown study no_such_study; the studies are area_ratio,"),
        (["run", "--only", "no_such_study"], "unknown study no_such_study"),
        (["plan", "--scale", "huge"], "unknown scale 'huge'; the scales are smoke, quick, mini, paper"),
        (
            ["plan", "--dataset", "kinetics"],
            "unknown dataset 'kinetics'; the datasets are staged, ucf101, hmdb51, kinetics400, diving48, folder, paper",
        ),
        (["plan", "--scale", "paper"], "scale paper needs real videos: add --dataset"),
        (["plan", "--dataset", "ucf101"], "where are the videos? add --data-root DIR"),
        (["plan", "--dataset", "ucf101", "--data-root", "nowhere"], "--data-root nowhere: there is no such folder"),
        (["plan", "--data-root", "."], "--data-root . goes with a dataset on disk"),
        (["plan", "--replicates", "0"], "--replicates 0: at least one"),
        (["plan", "--scale", "mini", "--part", "0"], "--part 0: there is no replicate 0; the study's replicates are 1-8"),
        (["plan", "--part", "1"], "--part 1: there is no replicate 1; the study's replicates are 0 (--replicates sets"),
        (["plan", "--scale", "mini", "--part", "2-19"], "--part 2-19: there is no replicate 19"),
        (["plan", "--scale", "mini", "--part", "4-2"], "'4-2' runs backwards; write 2-4"),
        (["run", "--scale", "mini", "--part", "1,,2"], "--part 1,,2: '' is no replicate; write 3, 2-4 or 1,5"),
        (["plan", "--part", "one"], "'one' is no replicate"),
        (["pack", "parts", "--out", "new"], "new: nothing was run there yet"),
        (["unpack", "parts", "--out", "new"], "parts: holds no replicate-NNNN.tar.xz"),
        (["plan", "--jobs", "0"], "--jobs 0: at least one"),
        (["plan", "--frames", "1"], "clip.frames = 1: Input should be greater than or equal to 2; a mask needs motion"),
        (["plan", "--size", "8"], "clip.size = 8: Input should be greater than or equal to 16"),
        (["plan", "--epochs", "-1"], "optim.epochs = -1"),
        (["plan", "--backbone", "vgg"], "backbone.name = 'vgg': Input should be 'r2plus1d_18'"),
        (["plan", "--device", "tpu"], "unknown device 'tpu'; the devices are auto, cpu and cuda"),
        (["plan", "--pretrained", "gone.pt"], "--pretrained gone.pt: cannot be read"),
        (["plan", "--out", "file/out"], "file/out: cannot write there"),
        (["plan", "--replicates", "many"], "'--replicates'"),
        (["plan", "--no-such-option"], "No such option: --no-such-option"),
        (["no-such-verb"], "no-such-verb"),
        (["status", "--out", "new"], "new: nothing was run there yet"),
        (["report", "--out", "new"], "new: nothing was run there yet"),
        (["view", "--out", "new"], "no report there yet"),
        (["data", "verify", "--out", "new"], "no rendered benchmark there"),
        (["data", "scan", "--dataset", "staged"], "rendered, not scanned"),
        (["search", "--scale", "smoke", "--trials", "0"], "--trials 0"),
        (["search", "--scale", "smoke", "--replicate", "-1"], "--replicate -1"),
    ],
)
def test_an_error_of_the_user_is_one_line_and_exit_code_2(words: list[str], told: str, typed: Typed, capfd: Captured) -> None:
    Path("file").write_text("")
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

    monkeypatch.setattr("run_study.show_plan", broken)
    assert typed("plan", "--scale", "smoke") == 1
    err = capfd.readouterr().err
    assert err == "error: ZeroDivisionError: it divides (unexpected; FAME_DEBUG=1 shows where)\n"
    monkeypatch.setenv("FAME_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        typed("plan", "--scale", "smoke")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--replicates", "10"],
            "): 3.0 points with 80 % power; 95 % half-width 2.1 points (sd 3 points of x, 2 selection worlds, y)",
        ),
        (["--replicates", "2"], "): none, as a verdict needs 3 replicates"),
        (["--replicates", "10", "--epochs", "9"], "): unknown: the scale's network, clip or epochs were changed"),
        (["--replicates", "10", "--scale", "quick"], "): unknown: no selection worlds were run at this scale"),
        (["temporal_kernels"], None),  # it does not ask for the headline
        (["--scale", "smoke"], None),  # its numbers mean nothing
    ],
)
def test_plan_says_which_effect_so_many_replicates_detect(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured, words: list[str], told: str | None
) -> None:
    file = Path("spread.toml")
    file.write_text('[mini]\nsd = 3\nreplicates = [1000, 1001]\nmeasure = "x"\nsource = "y"\n')
    monkeypatch.setattr("reports.power.spread_at", lambda scale, _: spread_at(scale, file))
    assert typed("plan", "--scale", "mini", *words) == 0
    line = capfd.readouterr().out.splitlines()[-1]
    assert line.startswith("smallest effect that n = ") == (told is not None)
    assert told is None or line.endswith(told)


def test_a_run_of_another_version_is_named_and_nothing_is_touched(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    results = {path: path.read_bytes() for path in Path("out/runs").rglob("result.json")}
    config = next(Path("out/runs").rglob("config.json"))
    value = json.loads(config.read_text())
    value["config"]["flux"] = 7
    config.write_text(json.dumps(value))
    capfd.readouterr()
    for words in (["run", "--scale", "smoke"], ["plan", "--scale", "smoke"], ["status"], ["report"]):
        assert typed(*words) == 2
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert str(config) in err
        assert "from another version of the program (" in err
        assert "flux = 7" in err
    assert results == {path: path.read_bytes() for path in Path("out/runs").rglob("result.json")}


def test_a_damaged_result_is_warned_of_and_done_again(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    damaged = next(Path("out/runs").rglob("result.json"))
    damaged.write_text('{"stage": "')
    capfd.readouterr()
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    out = capfd.readouterr().out
    assert "1 runs done" in out
    assert json.loads(damaged.read_text())["metrics"]


def test_a_disk_that_is_too_small_is_told_before_anything_starts(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    usage = shutil.disk_usage(".")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage._replace(free=3_000_000))
    assert typed("run", "--scale", "smoke") == 2
    err = capfd.readouterr().err
    assert "3.0 MB are free; make room or choose another folder with --out" in err
    assert not list(Path("out/runs").iterdir())


# ---------------------------------------------------------------- what it does


def test_run_status_and_a_second_run(typed: Typed, capfd: Captured) -> None:
    assert typed("run", "area_ratio", "--scale", "smoke", "--replicates", "2") == 0
    out = capfd.readouterr().out
    assert "56 runs, 56 to do" in out
    assert "estimated: " in out
    assert "[56/56]" in out
    assert "56 runs done, 0 were there." in out
    assert typed("run", "area_ratio", "--scale", "smoke", "--replicates", "2") == 0
    assert capfd.readouterr().out.splitlines()[0] == "0 runs done, 56 were there. The tables: run_study.py report --out out"
    assert typed("status") == 0
    assert capfd.readouterr().out.strip() == "out: 56 finished"


def test_failures_are_listed_and_the_exit_code_is_1(typed: Typed, capfd: Captured) -> None:
    setting = Setting(scale("smoke"))
    from studies.registry import studies
    from studies.resolve import all_stages

    broken = next(stage for stage, _ in all_stages(setting, studies(["retrieval"])).values() if stage.kind == "pretrain")
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
    from filelock import FileLock

    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    (folder,) = [path.parent for path in list(Path("out/runs").rglob("encoder.pt"))[:1]]
    (folder / "result.json").unlink()
    capfd.readouterr()
    assert typed("status") == 0
    assert "1 broken off" in capfd.readouterr().out
    with FileLock(folder / ".lock"):
        assert typed("status") == 0
    assert "1 running" in capfd.readouterr().out


def test_reproduce_paper_builds_the_report_and_tells_where_it_is(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    asked: list[tuple[tuple[str, ...], tuple[int, ...]]] = []

    def build(store: Store, setting: Setting, studies: tuple, replicates: tuple[int, ...], out: Path, **about: str) -> Path:
        asked.append((tuple(study.name for study in studies), replicates))
        assert about["command"] and about["commit"]
        folder = out / "report"
        folder.mkdir(exist_ok=True)
        claims = [{"id": "C1", "kind": "mechanism", "effect": 3.25, "interval": [1, 2], "n": 2, "verdict": "inconclusive"}]
        (folder / "report.json").write_text(json.dumps({"claims": claims, "tables": {}}))
        return folder / "index.html"

    monkeypatch.setattr("reports.page.build", build)
    words = ["--scale", "smoke", "--only", "retrieval", "--only", "temporal_kernels", "--replicates", "2"]
    assert typed(*words, program=run_study._single(run_study.reproduce)) == 0
    out = capfd.readouterr().out
    assert asked == [(("retrieval", "temporal_kernels"), (0, 1))]
    assert "Report: out/report/index.html" in out
    assert "+3.25" in out
    assert typed("report") == 0
    assert asked[1] == asked[0], "what was asked for is read from setting.json"


def test_search_uses_what_is_there_and_goes_on(typed: Typed, monkeypatch: pytest.MonkeyPatch, capfd: Captured) -> None:
    asked: list[list[str]] = []

    def find(setting, store, trials, replicate, out, execute, *, tracker, tell):  # type: ignore[no-untyped-def]
        from studies.beta_curve import Found, Trial
        from studies.search import beta_stage

        stage = beta_stage(setting, 0.5)
        execute(stage.chain())
        execute(stage.chain())
        asked.append([link.id for link in stage.chain() if store.finished(link.id, replicate)])
        trial = Trial(0, 0.5, 61.5, stage.id, False)
        tell(trial)
        return Found(trial, (trial,), False)

    monkeypatch.setattr("studies.search.search_beta", find)
    monkeypatch.setattr("studies.session.LocalWorkers", lambda out, jobs, runtime: Stopping(Store(out)))
    assert typed("search", "--scale", "smoke", "--trials", "1") == 0
    assert len(asked[0]) == 2
    out = capfd.readouterr().out
    assert "best beta 0.5: 61.5 % after 1 trials" in out
    assert out.count("done in") == 2, "a trial that is there is not run again"


def test_list_names_every_study(typed: Typed, capfd: Captured) -> None:
    assert typed("list") == 0
    out = capfd.readouterr().out
    for name in ("area_ratio", "table 1", "retrieval", "activation_maps", "figure 1", "C12"):
        assert name in out


def test_list_shows_findings_apart_with_their_questions(typed: Typed, capfd: Captured) -> None:
    from studies.registry import FINDINGS, STUDIES, questions

    assert typed("list") == 0
    papers, mark, findings = capfd.readouterr().out.partition("question")
    assert mark and "Does the baseline catch up?" in findings and "C10" in findings
    for study in FINDINGS:
        assert study.name in findings and questions()[study.name] in findings
        assert f" {study.name} " not in papers
    assert all(f" {study.name} " in papers for study in STUDIES)


def test_the_frozen_command_line() -> None:
    """What scripts and readers rely on. Take nothing away."""
    import inspect

    options = set(inspect.signature(run_study.reproduce).parameters)
    promised = {"scale", "dataset", "data_root", "out", "device", "jobs", "backbone", "exclude_broken"}
    assert promised | {"replicates", "part", "only", "pretrained"} <= options
    assert promised | {"trials"} <= set(inspect.signature(run_study.search).parameters)
    verbs = {command.name or command.callback.__name__ for command in run_study.app.registered_commands}  # type: ignore[union-attr]
    assert verbs | {"data"} == {"list", "plan", "run", "status", "report", "view", "search", "pack", "unpack", "data"}
    data = {command.name for command in run_study.data_app.registered_commands}
    assert data == {"render", "scan", "prepare", "verify", "sheet"}


# ---------------------------------------------------------------- choices


def test_choices_come_back_from_setting_json(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    weights = tmp_path / "w.pt"
    weights.write_bytes(b"weights")
    choices = Choices("smoke", replicates=3, studies=("retrieval",), pretrained=weights, frames=6, size=48, epochs=1)
    asked = resolve(choices, store.cache, 1)
    store.write_setting(asked.to_json())
    back = recall(Store(tmp_path))
    assert back == asked
    assert back.setting.scale.clip.frames == 6
    assert back.setting.scale.pretrain.epochs == back.setting.scale.source_epochs == 1
    assert back.setting.pretrained is not None and len(back.setting.pretrained) == 64
    assert json.loads((tmp_path / "setting.json").read_text())["pretrained"]["name"] == "w.pt"


def test_overrides_change_the_scale_and_nothing_else() -> None:
    base = scale("quick")
    assert with_overrides(base, {}) == base
    changed = with_overrides(base, {"frames": 4})
    assert changed.clip == base.clip.model_copy(update={"frames": 4})
    assert changed.finetune == base.finetune


# ---------------------------------------------------------------- processes


def test_reading_results_needs_neither_torch_nor_mlflow(typed: Typed, tmp_path: Path) -> None:
    assert typed("run", "temporal_kernels", "--scale", "smoke") == 0
    code = (
        "import sys, run_study\n"
        "import studies.session\n"  # MLflow is not imported where nothing is new: test_tracking.py
        "studies.session.tracker = run_study.tracker = lambda store, warn: None\n"
        "for words in (['run', 'temporal_kernels', '--scale', 'smoke', '--device', 'cpu'], ['status']):\n"
        "    sys.argv = ['run_study.py', *words]\n"
        "    assert run_study.start(run_study.app) == 0\n"
        "heavy = {'torch', 'torchvision', 'mlflow', 'pandas', 'matplotlib', 'av', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {sorted(heavy)}' if heavy else 0)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)
    assert found.returncode == 0, found.stderr
    assert "0 runs done, 8 were there." in found.stdout


@pytest.mark.long
def test_ctrl_c_names_the_command_that_resumes_and_it_does(tmp_path: Path) -> None:
    """The real program with slow fake stages, in a session of its own that gets SIGINT as from a terminal."""
    driver = tmp_path / "driver.py"
    driver.write_text(
        f"import sys\nsys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT)!r}]\n"
        "from fake_stages import FAKES\nimport studies.worker\nstudies.worker.STAGES.update(FAKES)\n"
        "import run_study\n"
        "if __name__ == '__main__':\n    sys.exit(run_study.start(run_study.app))\n"
    )
    from studies.registry import studies
    from studies.resolve import all_stages

    stages = [stage for stage, _ in all_stages(Setting(scale("smoke")), studies(["temporal_kernels"])).values()]
    slow = {stage.id: "slow" for stage in stages if stage.kind == "pretrain"}
    store = Store(tmp_path / "out").prepare()
    (store.out / "plan.json").write_text(json.dumps(slow))
    words = [sys.executable, "driver.py", "run", "temporal_kernels", "--scale", "smoke", "--jobs", "2", "--device", "cpu"]
    environment = os.environ | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    program = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment
    )
    deadline = time.monotonic() + 120
    while not any(store.progress(stage_id, 0) for stage_id in slow):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(program.pid, signal.SIGINT)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("stopped")]
    command = line.split("Continue with: ")[1]
    assert command.endswith("driver.py run temporal_kernels --scale smoke --jobs 2 --device cpu")
    deadline = time.monotonic() + 10
    while living(program.pid):
        assert time.monotonic() < deadline, "a process was left behind"
        time.sleep(0.1)
    (store.out / "plan.json").unlink()
    again = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
    assert again.returncode == 0, again.stderr
    assert all(store.finished(stage.id, 0) for stage in stages)


@pytest.mark.long
def test_a_study_end_to_end_at_smoke_scale(tmp_path: Path) -> None:
    """Real videos rendered, real training, real evaluation, the report; and a second call that has nothing to do."""
    words = [sys.executable, "-c", "import run_study; run_study.reproduce_paper()"]
    words += ["--scale", "smoke", "--only", "background_source", "--only", "retrieval", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=1200, env=environment)
    assert first.returncode == 0, first.stderr
    assert (tmp_path / "out" / "report" / "index.html").stat().st_size > 1000
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert {row["metric"] for row in report["tables"]["background_source"]} >= {"top1", "top1/deranged", "background_gap"}
    assert (tmp_path / "out" / "mlflow.db").exists()
    results = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("result.json")}
    began = time.monotonic()
    second = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)
    assert second.returncode == 0, second.stderr
    assert time.monotonic() - began < 10
    assert "0 runs done" in second.stdout
    assert results == {path: path.stat().st_mtime_ns for path in results}
