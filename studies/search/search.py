"""Search with Optuna: a worker takes trials of the shared study until enough choices are tried; the best one is then confirmed.

Several workers, here and on other machines, may be at one study. Runs are those of the tables: what is finished is not run again.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import count, islice
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fame.errors import FameError
from studies.harness.store import Store
from studies.search.objective import Reading, read
from studies.search.sampler import BEGUN, Untried
from studies.search.space import BETA, Params, Space, epochs_of, rounded, rungs
from studies.search.storage import open_storage, release_stale
from studies.setting.cell import Stage

POLL = 0.5  # seconds between two looks at what other workers do
PATIENCE = 5.0  # seconds that another worker has to say which choice it was given
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
Row = dict[str, Any]
Execute = Callable[[list[Stage], Sequence[int]], None]


class Taken(Exception):
    """Another worker has this choice, or the last one that was asked for."""


@dataclass(frozen=True)
class Search:
    """Hold what is searched: `replicates` are measured at every choice, `trials` are the choices in all, of earlier starts too."""

    space: Space
    replicates: tuple[int, ...]
    trials: int
    storage: str
    seed: int = 0
    pruner: str = "none"

    @cached_property
    def name(self) -> str:
        """Return the study's name: another setting, objective, field, replicate or pruner is another study."""
        setting, plain = self.space.setting, self.space.stage({})
        told = repr((plain.id, self.space.objective.metric, self.space.fields, self.replicates, self.pruner))
        fields = " ".join(name.removeprefix("merge.") for name in self.space.fields)
        return f"{fields} {setting.scale.name} {setting.dataset} {hashlib.sha256(told.encode()).hexdigest()[:12]}"

    @cached_property
    def goal(self) -> int:
        """Return the number of trials, or of choices where there are fewer."""
        return min(self.trials, len({self.space.key(choice) for choice in self.space.choices}) or self.trials)

    def open(self) -> optuna.Study:
        """Open the study, making it where there is none; FameError as `open_storage`."""
        first = rungs(self.space.stage({})) or (1,)
        made: dict[str, Callable[[], optuna.pruners.BasePruner]] = {
            "none": optuna.pruners.NopPruner,
            "median": partial(optuna.pruners.MedianPruner, n_startup_trials=4),
            "hyperband": partial(optuna.pruners.HyperbandPruner, min_resource=first[0], reduction_factor=2),
        }
        study = optuna.create_study(
            storage=open_storage(self.storage),
            study_name=self.name,
            direction="maximize",
            load_if_exists=True,
            pruner=made[self.pruner](),
        )
        study.sampler = Untried(self.space, self.seed, partial(study.get_trials, deepcopy=False))
        if study.metric_names is None:
            study.set_metric_names([self.space.objective.metric])
        return study


def measure(search: Search, store: Store, execute: Execute, stage: Stage, replicates: Sequence[int]) -> Reading:
    """Run what is missing of a stage's chain and read the objective. FameError where a run failed or has no such videos."""
    execute(stage.chain(), replicates)
    if found := read(search.space.objective, store, stage, replicates):
        return found
    failures = (store.failure(link.id, number) for link in stage.chain() for number in replicates)
    message = next((failure["message"] for failure in failures if failure), "")
    if not message and all(store.finished(stage.id, number) for number in replicates):
        raise FameError(f"run {stage.id} has no {search.space.objective.metric}: it needs a data set with validation videos")
    raise FameError(f"{message or 'it was not finished'}; the same command tries it again, and completed trials are kept")


def work(search: Search, store: Store, execute: Execute, tell: Callable[[Row], object] = lambda trial: None) -> None:
    """Take trials until `goal` choices are tried, those of workers that died included; wait for the last ones of others.

    `tell` hears of each trial. FameError, which names the choice, where a run failed; the choice is then free to be tried again.
    """
    study = search.open()

    def heard(study: optuna.Study, trial: FrozenTrial) -> None:
        if trial.state in DONE:
            tell(row_of(trial))

    while True:
        release_stale(study)
        states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
        if sum(states[state] for state in DONE) >= search.goal:
            return
        if states[TrialState.WAITING] or sum(states[state] for state in BEGUN) < search.goal:
            study.optimize(partial(_trial, search, store, execute, study), 1, catch=(Taken,), callbacks=[heard])
        else:
            time.sleep(POLL)


def _trial(search: Search, store: Store, execute: Execute, study: optuna.Study, trial: optuna.Trial) -> float:
    """Measure one choice; with a pruner also after fewer epochs, of trainings that go on from one another."""
    params = {name: _suggest(trial, name, field) for name, field in search.space.fields.items()}
    _take(search, study, trial.number, params)
    stage = search.space.stage(params)
    before = [link for link in stage.chain() if all(store.finished(link.id, number) for number in search.replicates)]
    stops = () if before or search.pruner == "none" else rungs(stage)
    stages = [*(search.space.stage(params, stop) for stop in stops), stage]
    trial.set_user_attr("cell", stage.id)
    trial.set_user_attr("reused", stage in before)
    try:
        for stop, rung, further in zip(stops, stages, stages[1:], strict=False):
            trial.report(_noted(trial, measure(search, store, execute, rung, search.replicates)), stop)
            if trial.should_prune():
                raise optuna.TrialPruned
            for number in search.replicates:
                store.hand_on(rung.chain()[0].id, further.chain()[0].id, number)
        value = _noted(trial, measure(search, store, execute, stage, search.replicates))
        if stops:
            trial.report(value, epochs_of(stage))
        return value
    except FameError as error:
        said = ", ".join(f"{name} = {value}" for name, value in params.items())
        raise FameError(f"the search stopped at {said}: {error}") from None


def _suggest(trial: optuna.Trial, name: str, field: BaseDistribution) -> Any:
    match field:
        case FloatDistribution():
            return rounded(trial.suggest_float(name, field.low, field.high, step=field.step, log=field.log))
        case IntDistribution():
            return trial.suggest_int(name, field.low, field.high, step=field.step)
        case _:
            assert isinstance(field, CategoricalDistribution)
            return trial.suggest_categorical(name, field.choices)


def _take(search: Search, study: optuna.Study, number: int, params: Params) -> None:
    """Raise Taken where an earlier trial has the choice or `goal` are begun: two workers may have asked at the same moment."""
    deadline = time.monotonic() + PATIENCE
    while True:
        others = [one for one in study.get_trials(deepcopy=False) if one.number < number and one.state in BEGUN]
        told = [one for one in others if len(one.params) == len(search.space.fields)]
        if len(others) >= search.goal or search.space.key(params) in {search.space.key(one.params) for one in told}:
            raise Taken
        if len(told) == len(others) or time.monotonic() > deadline:
            return
        time.sleep(0.05)


def _noted(trial: optuna.Trial, found: Reading) -> float:
    for name, value in _attributes(found).items():
        trial.set_user_attr(name, value)
    return found.mean


def _attributes(found: Reading) -> dict[str, Any]:
    return {"standard_error": found.error, "values": list(found.values.values())}


def enter(search: Search, store: Store) -> int:
    """Add choices whose runs are finished, those of the tables, as trials that cost nothing; return how many."""
    study = search.open()
    known = {search.space.key(trial.params) for trial in study.get_trials(deepcopy=False) if trial.state in BEGUN and trial.params}
    before = len(known)
    for choice in search.space.choices:
        stage = search.space.stage(choice)
        found = None if stage.id in known else read(search.space.objective, store, stage, search.replicates)
        if found:
            attributes = {"cell": stage.id, "reused": True, **_attributes(found)}
            study.add_trial(
                create_trial(params=dict(choice), distributions=search.space.fields, value=found.mean, user_attrs=attributes)
            )
            known.add(stage.id)
    return len(known) - before


def tried(study: optuna.Study) -> list[Row]:
    """Return complete and pruned trials."""
    return [row_of(trial) for trial in study.get_trials(deepcopy=False, states=DONE)]


def row_of(trial: FrozenTrial) -> Row:
    """Return a trial for a table: number, choice, value in percent and what it rests on, and values by epoch under `steps`."""
    params = {name: rounded(value) for name, value in trial.params.items()}
    facts = {"trial": trial.number, "params": params, "value": trial.value, "state": trial.state.name.lower()}
    return {**facts, **trial.user_attrs, "steps": trial.intermediate_values}


def best(trials: list[Row], baseline: bool = True) -> Row | None:
    """Return the complete trial of the highest value, `baseline` or not; None without one."""
    whole = [one for one in trials if one["state"] == "complete" and (baseline or one["params"].get(BETA) != 1.0)]
    return max(whole, key=lambda one: one["value"], default=None)


def confirm(search: Search, store: Store, execute: Execute, params: Params, number: int) -> Row:
    """Run a choice and its baseline, all else alike, on the first `number` replicates that the search has not seen."""
    fresh = tuple(islice((one for one in count() if one not in search.replicates), number))
    sides = {"winner": search.space.stage(params), "baseline": search.space.stage({**params, BETA: 1.0})}
    execute(list(dict.fromkeys(link for stage in sides.values() for link in stage.chain())), fresh)
    values = {name: list(measure(search, store, execute, stage, fresh).values.values()) for name, stage in sides.items()}
    return {"params": dict(params), "replicates": list(fresh), **values}
