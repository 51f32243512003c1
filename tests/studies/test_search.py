"""The search, with made-up runs whose best beta is known; tests/studies/test_search_workers.py has it in many processes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from fame.config import VideoData
from fame.errors import FameError
from studies.harness.store import METRICS, Store
from studies.paper.tables import AREA_RATIO
from studies.search.objective import OBJECTIVES, read, right
from studies.search.search import Search, best, confirm, enter, tried, work
from studies.search.space import FIRST, Space, parse, rungs
from studies.search.storage import open_storage
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.setting.scales import SCALES
from studies.study import top1

pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
SETTING = Setting(SCALES["smoke"])
LONGER = Setting(replace(SETTING.scale, pretrain=SETTING.scale.pretrain.model_copy(update={"epochs": 8})))
SPACE = Space(SETTING, OBJECTIVES["balanced"], parse([]))
BEST = 0.4


def accuracy(beta: float) -> float:
    return 60 - 100 * (beta - BEST) ** 2


class Runs:
    """A runner that finishes the stages it is given, with tables of 400 videos, and lists the betas that were truly run."""

    def __init__(self, out: Path, value: Callable[[float], float] = accuracy, videos: int = 400) -> None:
        self.store, self.value, self.videos = Store(out).prepare(), value, videos
        self.ran: list[float] = []
        self.stopped: list[tuple[float, int]] = []

    def __call__(self, stages: list[Stage], replicates: Sequence[int]) -> None:
        for stage, replicate in ((stage, number) for stage in stages for number in replicates):
            if self.store.finished(stage.id, replicate):
                continue
            folder = self.store.begin(stage, replicate)
            artifacts = []
            if stage.upstream:
                config: Any = stage.upstream.config
                beta = config.objective.merge.beta if config.objective.merge else 1.0
                (self.stopped.append((beta, config.stop)) if config.stop else self.ran.append(beta))
                predicted = (np.arange(self.videos) >= self.value(beta) * self.videos / 100).astype(int)
                lines = {"video": "v", "condition": "val/balanced", "head": "biased", "label": 0, "predicted": predicted}
                pd.DataFrame(lines | {"scene_action": 1}).to_csv(folder / "predictions.csv", index=False)
                artifacts = ["predictions.csv"]
            elif stage.config.stop:  # type: ignore[union-attr]
                (folder / "checkpoint.pt").touch()
                (folder / METRICS).touch()
            self.store.finish(stage, replicate, {"stage": stage.id, "metrics": {}, "artifacts": artifacts})


def search_in(out: Path, trials: int = 12, space: Space = SPACE, replicates: tuple[int, ...] = (0,), **more: Any) -> Search:
    return Search(space, replicates, trials, str(out / "search" / "journal.log"), **more)


def betas(search: Search) -> list[float]:
    return [trial["params"]["merge.beta"] for trial in tried(search.open())]


def test_the_grid_and_its_cells_are_those_of_the_ablation() -> None:
    assert [choice["merge.beta"] for choice in SPACE.choices] == [round(0.05 * step, 2) for step in range(2, 21)]
    rows = {row.label: row for row in AREA_RATIO.rows if row.column in ("", "single")}
    for label, beta in (("1.0 (baseline)", 1.0), ("0.7", 0.7), ("0.5", 0.5), ("0.3", 0.3)):
        of_the_study = SETTING.stage(rows[label], top1("A", "probe"))
        assert of_the_study and of_the_study.id == SPACE.stage({"merge.beta": beta}).id
    assert len({SPACE.key(choice) for choice in SPACE.choices}) == 19


def test_it_finds_the_best_beta_and_measures_none_twice(tmp_path: Path) -> None:
    runs, search, heard = Runs(tmp_path), search_in(tmp_path), []
    work(search, runs.store, runs, heard.append)
    assert [trial["params"]["merge.beta"] for trial in heard] == betas(search) == runs.ran
    assert runs.ran[:4] == list(FIRST) and len(set(runs.ran)) == 12
    winner = best(heard)
    assert (
        winner and abs(winner["params"]["merge.beta"] - BEST) <= 0.05 and winner["value"] == pytest.approx(accuracy(BEST), abs=0.5)
    )
    assert 2.3 < winner["standard_error"] < 2.6, "of 400 videos"
    assert search.open().metric_names == ["val/balanced/top1"]


def test_finished_runs_enter_and_the_whole_grid_ends_it(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    space = Space(SETTING, OBJECTIVES["balanced"], parse(["merge.beta=0.7:1.0:0.1", "merge.variant=fame,seed"]))
    search = search_in(tmp_path, 1000, space)
    runs(space.stage({"merge.beta": 1.0}).chain(), (0,))
    runs(space.stage({"merge.beta": 0.8, "merge.variant": "seed"}).chain(), (0,))
    assert enter(search, runs.store) == 2 and enter(search, runs.store) == 0
    work(search, runs.store, runs)
    assert search.goal == 7, "at beta = 1.0 the variant changes nothing"
    assert len(tried(search.open())) == len(runs.ran) == 7


class Killed(BaseException):
    """As a kill does, it passes every `except Exception`; nothing of the trial is told to the journal."""


@pytest.mark.parametrize(("number", "after"), [(1, False), (3, True), (8, False)])
def test_a_killed_search_goes_on_as_if_nothing_had_happened(tmp_path: Path, number: int, after: bool) -> None:
    whole = search_in(tmp_path / "whole", 9)
    work(whole, (unbroken := Runs(tmp_path / "whole")).store, unbroken)
    runs, search = Runs(tmp_path / "broken"), search_in(tmp_path / "broken", 9)

    def execute(stages: list[Stage], replicates: Sequence[int]) -> None:
        if len(runs.ran) == number - 1 and not after:
            raise Killed
        runs(stages, replicates)
        if len(runs.ran) == number:
            raise Killed

    with pytest.raises(Killed):
        work(search, runs.store, execute)
    gc.collect()  # the system would free the killed worker's lock
    with (tmp_path / "broken" / "search" / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 5, "worker')  # half a line, as a kill may leave it
    work(search, runs.store, runs)
    assert betas(search) == betas(whole) == runs.ran
    assert not search.open().get_trials(states=(TrialState.RUNNING, TrialState.WAITING))


def test_a_failed_run_stops_the_search_and_is_tried_again(tmp_path: Path) -> None:
    runs, search = Runs(tmp_path), search_in(tmp_path, 6)

    def execute(stages: list[Stage], replicates: Sequence[int]) -> None:
        if len(runs.ran) == 2:
            runs.store.fail(stages[0], 0, "the disk\nis sad")
        else:
            runs(stages, replicates)

    with pytest.raises(FameError, match=r"merge\.beta = 0\.3: the disk is sad; the same command tries it again"):
        work(search, runs.store, execute)
    work(search, runs.store, runs)
    assert betas(search)[:4] == list(FIRST)


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_bad_choices_are_pruned_and_trainings_go_on_from_where_they_were_looked_at(tmp_path: Path, pruner: str) -> None:
    runs = Runs(tmp_path)
    search = search_in(tmp_path, 12, Space(LONGER, OBJECTIVES["balanced"], parse([])), pruner=pruner)
    work(search, runs.store, runs)
    trials = tried(search.open())
    assert len(trials) == 12
    pruned = [trial["params"]["merge.beta"] for trial in trials if trial["state"] == "pruned"]
    assert pruned and not set(pruned) & set(runs.ran) and all(abs(beta - BEST) > 0.05 for beta in pruned)
    assert rungs(search.space.stage({})) == (2, 4) and {stop for _, stop in runs.stopped} == {2, 4}
    assert set(trials[0]["steps"]) == {2, 4, 8}
    whole = search.space.stage({"merge.beta": 0.5}).chain()[0]
    assert (runs.store.folder(whole.id, 0) / "checkpoint.pt").exists(), "it was moved there"


def test_the_winner_and_the_baseline_on_replicates_the_search_has_not_seen(tmp_path: Path) -> None:
    runs, search = Runs(tmp_path), search_in(tmp_path, 4, replicates=(1, 1000))
    found = confirm(search, runs.store, runs, {"merge.beta": 0.5}, 3)
    assert found["replicates"] == [0, 2, 3]
    assert found["winner"] == pytest.approx([59, 59, 59], abs=0.3) and found["baseline"] == pytest.approx([24, 24, 24], abs=0.3)


def test_another_setting_is_another_search(tmp_path: Path) -> None:
    spaces = [Space(setting, OBJECTIVES[name], parse([])) for setting in (SETTING, LONGER) for name in ("balanced", "own")]
    names = {search_in(tmp_path, space=space, replicates=numbers).name for space in spaces for numbers in ((0,), (1000,), (0, 1))}
    assert len(names) == 12


TABLE = pd.DataFrame(
    [
        ("val", "biased", 0, 0, 0),
        ("val", "balanced", 0, 1, 0),
        ("val/balanced", "biased", 0, 0, 0),
        ("val/balanced", "biased", 0, 1, 1),
        ("test", "biased", 0, 0, 0),
    ],
    columns=["condition", "head", "label", "predicted", "scene_action"],
)


def test_each_objective_reads_validation_videos_alone(tmp_path: Path) -> None:
    assert {name: right(OBJECTIVES[name], TABLE).tolist() for name in ("balanced", "own", "deranged-val")} == {
        "balanced": [True, False],
        "own": [True],
        "deranged-val": [False],
    }
    ranks = pd.DataFrame({"condition": ["val", "val", "test"], "rank": pd.array([1, None, 1], dtype="Int64")})
    assert right(OBJECTIVES["retrieval"], ranks).tolist() == [True, False]
    retrieval = Space(SETTING, OBJECTIVES["retrieval"], parse([])).stage({})
    assert retrieval.config.queries == "val"  # type: ignore[union-attr]
    runs, stage = Runs(tmp_path, videos=10), SPACE.stage({})
    runs(stage.chain(), (0, 1, 2))
    one, three = (read(SPACE.objective, runs.store, stage, numbers) for numbers in ((0,), (0, 1, 2)))
    assert one and three and one.mean == three.mean and one.error > 0 and three.error == 0
    assert read(SPACE.objective, runs.store, stage, (0, 7)) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("merge.beta=0.9:0.1", "the range is empty"),
        ("merge.beta=0.5:0.5", "the range is empty"),
        ("merge.beta=low:high", "merge"),
        ("merge.beta=0.1:0.9:0", "no range of numbers"),
        ("merge.beta=0.1:1.9", "merge"),
        ("merge.betta=0.1:0.9", "did you mean beta"),
        ("mrge.beta=0.1:0.9", "unknown group"),
        ("merge.variant=fame", "nothing to choose"),
        ("merge.variant=fame,best", "merge"),
        ("merge.beta", "must be a number"),
        ("erasing.gamma=0.1:0.2", "changes nothing|no field"),
    ],
)
def test_a_range_that_is_none(text: str, told: str) -> None:
    with pytest.raises(FameError, match=f"--search.*({told})"):
        Space(SETTING, OBJECTIVES["own"], parse([text])).check()


def test_ranges() -> None:
    fields = parse(["moco.queue=64:200:64", "optim.lr=1e-4:1e-2:log", "merge.beta=0.1:0.48", "merge.variant=fame,seed"])
    assert [(one.low, one.high) for one in fields.values() if hasattr(one, "low")] == [(64, 192), (1e-4, 1e-2), (0.1, 0.45)]
    assert not Space(SETTING, OBJECTIVES["own"], fields).choices, "a learning rate is any of a range"


@pytest.mark.parametrize("content", ["hello\nworld\n", '{"a": 1}\n', "[1, 2]\n", None])
def test_a_storage_that_is_none(tmp_path: Path, content: str | None) -> None:
    journal = tmp_path / "journal.log"
    journal.write_text(content) if content else journal.mkdir()
    with pytest.raises(FameError, match=r"journal\.log: this is no journal"):
        open_storage(str(journal))
    for url in ("postgresql://me:hidden@127.0.0.1:9/none", "nosuch://x"):
        with pytest.raises(FameError, match=r"--storage .* cannot be opened") as told:
            open_storage(url)
        assert "hidden" not in str(told.value)


def test_no_validation_videos_and_no_beta(tmp_path: Path) -> None:
    runs = Runs(tmp_path, videos=0)
    with pytest.raises(FameError, match=r"no val/balanced/top1: it needs a data set with validation videos"):
        work(search_in(tmp_path, 1), runs.store, runs)
    videos = VideoData(kind="folder", manifest="0" * 12, fold=1, short_side=32)
    with pytest.raises(FameError, match="without --pretrained"):
        Space(Setting(SCALES["smoke"], {"A": videos}, pretrained="a" * 64), OBJECTIVES["own"], parse([])).check()
