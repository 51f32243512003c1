"""The search for beta, with a made-up accuracy whose best beta is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from filelock import FileLock

from fame.config import VideoData
from fame.errors import FameError
from studies.harness.store import Store
from studies.paper.tables import AREA_RATIO
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
    """A runner that finishes the stages it is given, and lists the betas that were truly run."""

    def __init__(self, out: Path, replicate: int = 0, value: Callable[[float], float] = accuracy) -> None:
        self.store = Store(out).prepare()
        self.replicate, self.value = replicate, value
        self.ran: list[float] = []

    def __call__(self, stages: list[Stage]) -> None:
        for stage in stages:
            if self.store.finished(stage.id, self.replicate):
                continue
            metrics = {}
            if stage.upstream:
                merge = stage.upstream.config.objective.merge  # type: ignore[union-attr]
                self.ran.append(merge.beta if merge else 1.0)
                metrics = {METRIC: self.value(self.ran[-1]), "top1": 99.0}
            self.store.begin(stage, self.replicate)
            self.store.finish(stage, self.replicate, {"stage": stage.id, "metrics": metrics})


def search(
    runs: Runs, trials: int, execute: Callable[[list[Stage]], None] | None = None, setting: Setting = SETTING, **more: Any
) -> Any:
    return search_beta(setting, runs.store, trials, runs.replicate, execute or runs, **more)


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure takes most of a made-up search's time; one test draws it."""
    monkeypatch.setattr("studies.search._draw", Mock())


def test_the_grid_and_its_cells_are_those_of_the_ablation() -> None:
    assert len(GRID) == 19 and GRID[0] == 0.1 and GRID[-1] == 1.0 and set(FIRST) <= set(GRID)
    rows = {row.label: row for row in AREA_RATIO.rows if row.column in ("", "single")}
    for label, beta in (("1.0 (baseline)", 1.0), ("0.7", 0.7), ("0.5", 0.5), ("0.3", 0.3)):
        of_the_study = SETTING.stage(rows[label], top1("A", "probe"))
        assert of_the_study and of_the_study.id == beta_stage(SETTING, beta).id
    assert len({beta_stage(SETTING, beta).id for beta in GRID}) == len(GRID)


def test_it_finds_the_best_beta_by_validation_and_tries_none_twice(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    heard: list[float] = []
    found = search(runs, 12, tell=lambda trial: heard.append(trial.beta))
    assert found.betas[:4] == list(FIRST) and found.betas == heard == runs.ran
    assert len(set(heard)) == len(heard) == 12
    assert abs(found.best.beta - BEST) <= 0.05
    assert [trial.value for trial in found.trials] == [accuracy(beta) for beta in heard]
    assert found.best.cell == beta_stage(SETTING, found.best.beta).id


def test_a_beta_proposed_again_costs_no_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.search.GRID", (0.7, 0.8, 0.9, 1.0))
    monkeypatch.setattr("studies.search.FIRST", (0.8, 1.0))
    monkeypatch.setattr("studies.search.STEP", 0.1)
    Runs(tmp_path)(beta_stage(SETTING, 1.0).chain())
    runs = Runs(tmp_path)
    found = search(runs, 10_000)
    assert (tmp_path / "search" / "journal.log").read_text().count('"op_code":4') > 4
    assert found.exhausted and sorted(found.betas) == [0.7, 0.8, 0.9, 1.0]
    assert runs.ran == [beta for beta in found.betas if beta != 1.0]
    assert [trial.beta for trial in found.trials if trial.reused] == [1.0]


def test_what_it_writes_and_tells_the_tracker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tracker = Mock()
    found = search(Runs(tmp_path), 5, tracker=tracker)
    files = [tmp_path / "search" / f"beta.{suffix}" for suffix in ("json", "png")]
    written = json.loads(files[0].read_text())
    assert written["best"]["beta"] == found.best.beta and len(written["trials"]) == 5
    picture = files[1].read_bytes()
    assert picture.startswith(b"\x89PNG")
    search(Runs(tmp_path), 5)
    assert files[1].read_bytes() == picture
    name, mirrored, rows, runs, *_ = tracker.mirror_study.call_args.args
    assert name == "search_beta" and mirrored == files
    assert runs == [(trial.cell, 0) for trial in found.trials]
    assert {"row": "best", "metric": "beta", "mean": found.best.beta} in rows


class Killed(BaseException):
    """As a kill does, it passes every `except Exception`; nothing of the trial is told to the journal."""


@pytest.mark.parametrize("number", [1, 3, 8])
@pytest.mark.parametrize("after", [False, True])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, number: int, after: bool) -> None:
    whole = search(Runs(tmp_path / "whole"), 9)
    runs = Runs(tmp_path / "broken")

    def execute(stages: list[Stage]) -> None:
        if len(runs.ran) == number - 1 and not after:
            raise Killed
        runs(stages)
        if len(runs.ran) == number:
            raise Killed

    with pytest.raises(Killed):
        search(runs, 9, execute)
    journal = tmp_path / "broken" / "search" / "journal.log"
    with journal.open("ab") as file:
        file.write(b'{"op_code": 5, "worker')  # half a line, as a kill may leave it
    Path(f"{journal}.lock").touch()  # and Optuna's own lock
    assert search(runs, 9).betas == whole.betas == runs.ran


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
    assert search(runs, 6).betas[:4] == list(FIRST)


def test_another_setting_is_another_search(tmp_path: Path) -> None:
    search(Runs(tmp_path), 3)
    longer = Setting(replace(SETTING.scale, pretrain=SETTING.scale.pretrain.model_copy(update={"epochs": 9})))
    for setting, replicate in ((longer, 0), (SETTING, 1000), (Setting(SCALES["quick"]), 0)):
        assert search(Runs(tmp_path, replicate), 1, setting=setting).betas == [FIRST[0]]


@pytest.mark.parametrize("content", ["hello\nworld\n", '{"a": 1}\n', "[1, 2]\n", None])
def test_a_journal_that_is_none(tmp_path: Path, content: str | None) -> None:
    journal = tmp_path / "search" / "journal.log"
    journal.parent.mkdir()
    journal.write_text(content) if content else journal.mkdir()
    with pytest.raises(FameError, match=r"journal\.log: this is no journal"):
        search(Runs(tmp_path), 1)


def test_two_searches_at_once_and_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    runs, folder = Runs(tmp_path), tmp_path / "search"
    folder.write_text("a file in the way")
    with pytest.raises(FameError, match="cannot write"):
        search(runs, 1)
    folder.unlink()
    folder.mkdir()
    with FileLock(folder / ".search.lock"), pytest.raises(FameError, match="another search is at work"):
        search(runs, 1)


def test_no_validation_accuracy_and_no_beta(tmp_path: Path) -> None:
    with pytest.raises(FameError, match=rf"no {METRIC}; the search needs a dataset with a validation split"):
        search(Runs(tmp_path, value=lambda beta: float("nan")), 1)
    videos = VideoData(kind="folder", manifest="0" * 12, fold=1, short_side=32)
    with pytest.raises(FameError, match="without --pretrained"):
        search(Runs(tmp_path), 1, setting=Setting(SCALES["smoke"], {"A": videos}, pretrained="a" * 64))
