"""Search for beta, the share of the frame kept as foreground: Optuna's TPE on the linear probe's `val/top1` on A.

Betas lie on a grid of 0.05, so that trials meet the runs of table 1; 1.0 is the baseline. A search that was killed goes on from its
journal, OUT/search/journal.log.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from fame.errors import FameError
from fame.files import write_atomically, write_json
from fame.seeds import Seeds
from studies.harness.store import Store
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.study import Row, fame, moco, top1
from studies.tracking import Tracker

if TYPE_CHECKING:
    import optuna

NAME = "search_beta"
METRIC = "val/top1"
OBJECTIVE = "validation accuracy (percent) of the linear probe on A; no test video is looked at"
STEP = 0.05
GRID = tuple(round(STEP * index, 2) for index in range(2, 21))
FIRST = (0.5, 1.0, 0.3, 0.7)  # table 1's betas, the paper's choice and the baseline first


@dataclass(frozen=True)
class Trial:
    """Hold a beta that was tried, its validation accuracy in percent, and whether its run was there before (`reused`)."""

    number: int
    beta: float
    value: float
    cell: str
    reused: bool


@dataclass(frozen=True)
class Found:
    """Hold all trials, a beta each, in their order."""

    trials: tuple[Trial, ...]

    @property
    def betas(self) -> list[float]:
        return [trial.beta for trial in self.trials]

    @property
    def best(self) -> Trial:
        return max(self.trials, key=lambda trial: trial.value)

    @property
    def exhausted(self) -> bool:
        """Whether every beta of the grid has been tried: more trials tell nothing."""
        return len(self.trials) == len(GRID)


def beta_stage(setting: Setting, beta: float) -> Stage:
    """Return the probe whose validation accuracy is the objective; beta = 1.0 is the baseline, as in table 1."""
    stage = setting.stage(Row(f"{beta}", moco() if beta == 1.0 else fame(beta)), top1("A", "probe"))
    if stage is None or setting.pretrained:
        raise FameError("the search for beta pretrains an encoder for every beta: it goes without --pretrained")
    return stage


def search_beta(
    setting: Setting,
    store: Store,
    trials: int,
    replicate: int,
    execute: Callable[[list[Stage]], None],
    *,
    tracker: Tracker | None = None,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Search until `trials` betas in all are tried (those of earlier starts count) or the grid is exhausted.

    `execute` runs the chain of one trial, upstream first. Writes OUT/search/beta.json and .png. FameError for a journal that cannot
    be read, another search at work in OUT, and a trial whose run failed (the next start tries it again).
    """
    import optuna

    stages = {beta: beta_stage(setting, beta) for beta in GRID}
    identity = hashlib.sha256("".join(stage.id for stage in stages.values()).encode()).hexdigest()[:12]
    about = {
        "scale": setting.scale.name,
        "dataset": setting.dataset,
        "replicate": replicate,
        "objective": f"{METRIC}: {OBJECTIVE}",
    }
    with _journal(store) as storage:
        name = f"beta {setting.scale.name} {setting.dataset} {replicate} {identity}"
        study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
        for broken in study.get_trials(deepcopy=False):
            if broken.state.name == "RUNNING":  # in a process that was killed: see `_journal`
                study.tell(broken.number, state=optuna.trial.TrialState.FAIL)
        while len((found := _found(study)).trials) < min(trials, len(GRID)):
            asked = _ask(study, found, replicate)
            beta = round(asked.params["beta"], 2)  # 0.1 + 4 * 0.05 is not quite 0.3, and would be another run
            stage = stages[beta]
            reused = store.finished(stage.id, replicate)
            execute(stage.chain())  # an error or an interrupt leaves the trial RUNNING, as a kill does
            value = _accuracy(store, stage, beta, replicate)
            asked.set_user_attr("cell", stage.id)
            asked.set_user_attr("reused", reused)
            study.tell(asked, value)
            if beta not in found.betas:
                tell(Trial(len(found.trials), beta, value, stage.id, reused))
    files = [store.out / "search" / f"beta.{suffix}" for suffix in ("json", "png")]
    facts = {"best": asdict(found.best), "trials": [asdict(trial) for trial in found.trials]}
    write_json(files[0], about | facts)
    _draw(
        found,
        f"{setting.scale.name}, {setting.dataset}, replicate {replicate}: {len(found.trials)} trials",
        files[1],
    )
    if tracker:
        rows: list[dict[str, Any]] = [{"row": "best", "metric": "beta", "mean": found.best.beta}]
        rows += ({"row": f"beta {trial.beta}", "metric": METRIC, "mean": trial.value} for trial in found.trials)
        runs = [(trial.cell, replicate) for trial in found.trials]
        tracker.mirror_study(NAME, files, rows, runs, OBJECTIVE, about)
    return found


@contextmanager
def _journal(store: Store) -> Iterator[optuna.storages.JournalStorage]:
    """Open the journal of OUT, for one process at a time, without half a line or a lock that a kill may leave."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = store.out / "search" / "journal.log"
    mend = "choose another folder with --out"
    with store.named_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(path.with_name(".search.lock")).acquire(timeout=0)
        except Timeout:
            raise FameError(f"{path.parent}: another search is at work there; wait for it, or {mend}") from None
    with lock:
        try:
            Path(f"{path}.lock").unlink(missing_ok=True)
            whole = path.read_bytes() if path.exists() else b""
            if whole and not whole.endswith(b"\n"):
                path.write_bytes(whole[: whole.rfind(b"\n") + 1])
            backend = JournalFileBackend(str(path), JournalFileOpenLock(str(path)))
            storage = optuna.storages.JournalStorage(backend)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:  # whatever replaying a foreign file meets
            raise FameError(f"{path}: this is no journal that Optuna can read ({error!r}); move it away, or {mend}") from None
        yield storage


def _found(study: optuna.Study) -> Found:
    found: dict[float, Trial] = {}
    for trial in study.get_trials(deepcopy=False):
        if trial.state.name == "COMPLETE":
            beta = round(trial.params["beta"], 2)
            found.setdefault(beta, Trial(len(found), beta, trial.values[0], **trial.user_attrs))
    return Found(tuple(found.values()))


def _ask(study: optuna.Study, found: Found, replicate: int) -> optuna.Trial:
    """Propose a beta: the first ones, then TPE's, seeded by what is complete: a continued search proposes the same."""
    import optuna

    states = [trial.state.name for trial in study.get_trials(deepcopy=False)]
    left = [beta for beta in FIRST if beta not in found.betas]
    if left and "WAITING" not in states:
        study.enqueue_trial({"beta": left[0]})
    seed = Seeds(replicate).of(NAME, states.count("COMPLETE")) % 2**32
    study.sampler = optuna.samplers.TPESampler(n_startup_trials=len(FIRST), seed=seed)
    return study.ask({"beta": optuna.distributions.FloatDistribution(GRID[0], GRID[-1], step=STEP)})


def _accuracy(store: Store, stage: Stage, beta: float, replicate: int) -> float:
    """Return the validation accuracy of a run in percent. FameError where it failed or has none."""
    result = store.result(stage.id, replicate)
    value = result["metrics"].get(METRIC) if result else None
    if value is not None and math.isfinite(value):
        return float(value)
    if result:
        why = f"run {stage.id}/{replicate} has no {METRIC}; the search needs a dataset with a validation split"
    else:
        failures = (store.failure(link.id, replicate) for link in stage.chain())
        message = next((failure["message"] for failure in failures if failure), "it was not finished")
        why = f"{message}; the same command tries it again, and completed trials are kept"
    raise FameError(f"the search stopped at beta = {beta}: {why}")


def _draw(found: Found, title: str, path: Path) -> None:
    """Draw validation accuracy over beta; the best beta is marked, and 1.0 is named as the baseline."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 9, "axes.titlesize": 9}):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*sorted((trial.beta, trial.value) for trial in found.trials)), "o-", markersize=4)
        best = found.best
        axes.plot(best.beta, best.value, "o", markersize=9, label=f"β = {best.beta}: {best.value:.1f} %")
        axes.legend()
        axes.set_xticks([0.1, 0.3, 0.5, 0.7, 1.0], ["0.1", "0.3", "0.5", "0.7", "1.0\n(baseline)"])
        axes.set(xlim=(0.05, 1.05), xlabel="β, share of the frame kept as foreground")
        axes.set(ylabel="validation accuracy, linear probe (%)", title=title)
        write_atomically(path, partial(figure.savefig, format="png", dpi=150))
