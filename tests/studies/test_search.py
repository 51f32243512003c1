"""The search for beta, with a made-up accuracy whose best beta is known: reuse, resume after a kill, and clear errors."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from fame.config import VideoData
from fame.errors import FameError
from studies.harness.store import Store
from studies.paper.area_ratio import STUDY
from studies.search import FIRST, GRID, METRIC, beta_stage, search_beta
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES
from studies.study import top1

SETTING = Setting(SCALES["smoke"])
BEST = 0.4


def accuracy(beta: float) -> float:
    return 60 - 100 * (beta - BEST) ** 2


class Runs:
    """Stands in for the runner: finishes the stages it is given, and keeps a list of the betas that were truly run."""

    def __init__(
        self, out: Path, replicate: int = 0, setting: Setting = SETTING, value: Callable[[float], float] = accuracy
    ) -> None:
        self.store = Store(out).prepare()
        self.replicate, self.value = replicate, value
        self.beta_of = {beta_stage(setting, beta).id: beta for beta in GRID}
        self.ran: list[float] = []

    def __call__(self, stages: list[Stage]) -> None:
        for stage in stages:
            if self.store.finished(stage.id, self.replicate):
                continue
            metrics = {}
            if stage.kind == "probe":
                beta = self.beta_of[stage.id]
                self.ran.append(beta)
                metrics = {METRIC: self.value(beta), "top1": 99.0}
            self.store.begin(stage, self.replicate)
            result = {"stage": stage.id, "kind": stage.kind, "replicate": self.replicate, "metrics": metrics, "artifacts": []}
            self.store.finish(stage, self.replicate, result)


def search(
    runs: Runs, trials: int, execute: Callable[[list[Stage]], None] | None = None, setting: Setting = SETTING, **more: Any
) -> Any:
    return search_beta(setting, runs.store, trials, runs.replicate, runs.store.out, execute or runs, **more)


@pytest.fixture(autouse=True)
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure takes most of a made-up search's time; one test draws it."""
    if request.node.name != "test_what_it_writes":
        monkeypatch.setattr("studies.beta_curve._draw", lambda *told: None)


# ---------------------------------------------------------------- what is searched


def test_the_grid_and_its_cells_are_those_of_the_ablation() -> None:
    """Beta 1.0 is the baseline and 0.3, 0.5, 0.7 the rows of table 1, so the search runs none of them twice."""
    assert len(GRID) == 19 and GRID[0] == 0.1 and GRID[-1] == 1.0 and set(FIRST) <= set(GRID)
    rows = {row.label: row for row in STUDY.rows if row.column in ("", "single")}
    for label, beta in (("1.0 (baseline)", 1.0), ("0.7", 0.7), ("0.5", 0.5), ("0.3", 0.3)):
        of_the_study = SETTING.stage(rows[label], top1("A", "probe"))
        assert of_the_study and of_the_study.id == beta_stage(SETTING, beta).id
    assert len({beta_stage(SETTING, beta).id for beta in GRID}) == len(GRID)


def test_it_finds_the_best_beta(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    heard: list[float] = []
    found = search(runs, 12, tell=lambda trial: heard.append(trial.beta))
    assert [trial.beta for trial in found.trials[:4]] == list(FIRST)
    assert heard == [trial.beta for trial in found.trials] and len(heard) == 12
    assert abs(found.best.beta - BEST) <= 0.05
    assert found.best.value == max(trial.value for trial in found.trials) == accuracy(found.best.beta)
    assert len(runs.ran) == len(set(runs.ran))  # no beta twice
    assert found.best.cell == beta_stage(SETTING, found.best.beta).id


def test_it_maximises_validation_and_never_looks_at_the_test_metric(tmp_path: Path) -> None:
    """Accuracy on test videos is 99 everywhere in these runs; only the validation accuracy reaches the search."""
    found = search(Runs(tmp_path), 4)
    assert {trial.value for trial in found.trials} == {accuracy(beta) for beta in FIRST}


def test_done_cells_are_reused_and_counted(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for beta in FIRST[:3]:
        runs(beta_stage(SETTING, beta).chain())
    runs.ran.clear()
    found = search(runs, 4)
    assert runs.ran == [FIRST[3]]
    assert [trial.reused for trial in found.trials] == [True, True, True, False]


def test_it_stops_when_the_grid_is_exhausted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.search.GRID", FIRST)
    found = search(Runs(tmp_path), 10_000)
    assert found.exhausted and len(found.trials) == len(FIRST)


@pytest.mark.long
def test_it_exhausts_the_whole_grid_and_runs_no_beta_twice(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    found = search(runs, 10_000)
    assert found.exhausted and sorted(runs.ran) == list(GRID)
    assert found.best.beta == BEST
    assert sum(not trial.reused for trial in found.trials) == len(GRID)


def test_what_it_writes(tmp_path: Path) -> None:
    found = search(Runs(tmp_path), 5)
    folder = tmp_path / "search"
    told = json.loads((folder / "beta.json").read_text())
    assert told["best"]["beta"] == found.best.beta and len(told["trials"]) == 5
    assert told["scale"] == "smoke" and told["replicate"] == 0 and told["selection_world"] is False
    assert "validation" in told["objective"]
    with (folder / "beta.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["beta"]) for line in lines] == [trial.beta for trial in found.trials]
    assert {float(line["beta"]) for line in lines if line["best"] == "1"} == {found.best.beta}
    assert (folder / "beta.png").read_bytes().startswith(b"\x89PNG")
    picture = (folder / "beta.svg").read_bytes()
    assert b"<svg" in picture
    search(Runs(tmp_path), 5)
    assert (folder / "beta.svg").read_bytes() == picture  # the same numbers, the same file


def test_a_selection_world_is_named_as_such(tmp_path: Path) -> None:
    search(Runs(tmp_path, replicate=1000), 1)
    assert json.loads((tmp_path / "search" / "beta.json").read_text())["selection_world"] is True


def test_the_tracker_hears_of_every_run_and_of_the_search(tmp_path: Path) -> None:
    class Tracker:
        def __init__(self) -> None:
            self.runs: list[tuple[str, tuple[str, ...]]] = []
            self.studies: list[tuple[Any, ...]] = []

        def mirror_run(self, store: Store, stage_id: str, replicate: int, serves: tuple[str, ...]) -> bool:
            self.runs.append((stage_id, serves))
            return False  # a failing tracker changes nothing

        def mirror_study(self, *told: Any) -> bool:
            self.studies.append(told)
            return False

    tracker: Any = Tracker()
    found = search(Runs(tmp_path), 2, tracker=tracker)
    assert tracker.runs == [(link.id, ("search_beta",)) for beta in FIRST[:2] for link in beta_stage(SETTING, beta).chain()]
    ((name, files, rows, links, *_),) = tracker.studies
    assert name == "search_beta" and {file.name for file in files} == {"beta.json", "beta.csv", "beta.png", "beta.svg"}
    assert links == [(trial.cell, 0) for trial in found.trials]
    assert {"row": "best", "metric": "beta", "mean": found.best.beta} in rows


# ---------------------------------------------------------------- broken off and continued


class Killed(BaseException):
    """As a kill does, it passes every `except Exception`; nothing of the trial is told to the journal."""


def killed_at(runs: Runs, number: int, after: bool) -> Callable[[list[Stage]], None]:
    """The runner, killed in its `number`-th run: before its result was written, or right after."""

    def execute(stages: list[Stage]) -> None:
        if len(runs.ran) == number - 1 and not after:
            raise Killed
        runs(stages)
        if len(runs.ran) == number:
            raise Killed

    return execute


@pytest.mark.parametrize("number", [1, 3, 6])
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, number: int, after: bool) -> None:
    whole = search(Runs(tmp_path / "whole"), 7)
    runs = Runs(tmp_path / "broken")
    with pytest.raises(Killed):
        search(runs, 7, killed_at(runs, number, after))
    journal = tmp_path / "broken" / "search" / "journal.log"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker')  # half a line, as a kill may leave it
    Path(f"{journal}.lock").touch()  # and Optuna's own lock
    found = search(runs, 7)
    assert [trial.beta for trial in found.trials] == [trial.beta for trial in whole.trials]
    assert len(runs.ran) == len(set(runs.ran))
    assert found.best.beta == whole.best.beta


def test_trials_count_in_total(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    first = search(runs, 3)
    assert len(search(runs, 5).trials) == 5
    ran = list(runs.ran)
    again = search(runs, 5)
    assert len(again.trials) == 5 and again.trials[:3] == first.trials and runs.ran == ran
    assert len(search(runs, 2).trials) == 5  # what is done stays


def test_a_failed_run_stops_the_search_and_is_tried_again(tmp_path: Path) -> None:
    runs = Runs(tmp_path)

    def execute(stages: list[Stage]) -> None:
        if len(runs.ran) == 2:
            runs.store.fail(stages[0], 0, "the disk\nis sad")
        else:
            runs(stages)

    with pytest.raises(FameError, match=r"beta = 0\.3: the disk is sad; the same command tries it again"):
        search(runs, 6, execute)
    assert len(runs.ran) == 2
    found = search(runs, 6)
    assert sorted(trial.beta for trial in found.trials[:4]) == sorted(FIRST) and len(found.trials) == 6


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize("trials", [0, -3])
def test_fewer_than_one_trial(tmp_path: Path, trials: int) -> None:
    with pytest.raises(FameError, match=f"--trials {trials}"):
        search(Runs(tmp_path), trials)


def test_a_journal_of_another_setting(tmp_path: Path) -> None:
    """The same names, other sizes: trials of one must not steer the other. Another replicate or scale is another study instead."""
    search(Runs(tmp_path), 1)
    longer = Setting(replace(SETTING.scale, pretrain=SETTING.scale.pretrain.model_copy(update={"epochs": 9})))
    with pytest.raises(FameError, match=r"journal\.log.*another setting.*move .* away"):
        search(Runs(tmp_path, setting=longer), 1, setting=longer)
    assert len(search(Runs(tmp_path, replicate=1), 2).trials) == 2
    quick = Setting(SCALES["quick"])
    assert len(search(Runs(tmp_path, setting=quick), 2, setting=quick).trials) == 2


@pytest.mark.parametrize("content", ["hello\nworld\n", '{"a": 1}\n', "[1, 2]\n"])
def test_a_journal_that_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "journal.log").write_text(content)
    with pytest.raises(FameError, match=r"journal\.log: this is no journal"):
        search(Runs(tmp_path), 1)


def test_two_searches_at_once(tmp_path: Path) -> None:
    (tmp_path / "search").mkdir()
    with FileLock(tmp_path / "search" / ".search.lock"), pytest.raises(FameError, match="another search is at work"):
        search(Runs(tmp_path), 1)


def test_an_out_folder_that_cannot_be_written(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    (tmp_path / "search").write_text("a file in the way")
    with pytest.raises(FameError, match="cannot write there"):
        search(runs, 1)


def test_no_validation_accuracy(tmp_path: Path) -> None:
    with pytest.raises(FameError, match=rf"no {METRIC}; the search needs a dataset with a validation split"):
        search(Runs(tmp_path, value=lambda beta: float("nan")), 1)


def test_given_weights_have_no_beta(tmp_path: Path) -> None:
    videos = VideoData(kind="folder", manifest="0" * 12, fold=1, short_side=32)
    given = Setting(SCALES["smoke"], videos, pretrained="a" * 64)
    with pytest.raises(FameError, match="without --pretrained"):
        search_beta(given, Store(tmp_path), 1, 0, tmp_path, lambda stages: None)
