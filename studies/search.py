"""The search for beta, the share of the frame kept as foreground: Optuna's TPE on validation accuracy.

The objective is `val/top1` of the linear probe on A: videos of the validation split, never a test video, so the tables stay
untouched by what is found here. Betas lie on a grid of 0.05, so that trials meet the cells of the ablation (table 1): 0.3, 0.5 and
0.7 are its rows, and 1.0 is the baseline without merging. A trial is a run like any other, in the store and in MLflow. Trials go
one after another; the journal (OUT/search/journal.log) survives a kill, and the same command goes on from it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from filelock import FileLock, Timeout

from fame.errors import FameError
from fame.seeds import Seeds
from studies.beta_curve import Found, Trial, write_search
from studies.setting.cell import Stage
from studies.setting.resolve import Setting
from studies.study import Row, fame, moco, top1
from studies.tracking import Tracker

if TYPE_CHECKING:
    import optuna

NAME = "search_beta"
METRIC = "val/top1"
OBJECTIVE = "validation accuracy (percent) of the linear probe on A; no test video is looked at"
LOW, HIGH, STEP = 0.1, 1.0, 0.05
GRID = tuple(round(LOW + STEP * index, 2) for index in range(round((HIGH - LOW) / STEP) + 1))
FIRST = (0.5, 1.0, 0.3, 0.7)  # the ablation's betas, the paper's choice and the baseline before the others


class Results(Protocol):
    """What is read of the run store (studies/harness/store.py)."""

    def folder(self, stage_id: str, replicate: int) -> Path: ...

    def result(self, stage_id: str, replicate: int) -> dict[str, Any] | None: ...

    def failure(self, stage_id: str, replicate: int) -> dict[str, Any] | None: ...


def beta_stage(setting: Setting, beta: float) -> Stage:
    """The probe whose validation accuracy is the objective; beta = 1.0 is the baseline, as in table 1."""
    stage = setting.stage(Row(f"{beta}", moco() if beta == 1.0 else fame(beta)), top1("A", "probe"))
    if stage is None or setting.pretrained:
        raise FameError("the search for beta pretrains an encoder for every beta: it goes without --pretrained")
    return stage


def search_beta(
    setting: Setting,
    store: Results,
    trials: int,
    replicate: int,
    out: Path,
    execute: Callable[[list[Stage]], None],
    *,
    tracker: Tracker | None = None,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> Found:
    """Search until `trials` trials in total are complete (those of earlier starts count) or the grid is exhausted.

    `execute(stages)` runs the chain of one trial, upstream first, and leaves finished runs alone; `tell` hears of every trial.
    Writes OUT/search/beta.json, .csv, .png and .svg. Raises FameError for trials < 1, a journal of another setting or one that
    cannot be read, another search at work in OUT, and a trial whose run failed (the next start tries it again).
    """
    if trials < 1:
        raise FameError(f"--trials {trials}: a search needs at least one trial")
    folder = Path(out).absolute() / "search"
    cells = " ".join(beta_stage(setting, beta).id for beta in GRID)
    identity = hashlib.sha256(cells.encode()).hexdigest()[:12]
    about = {
        "scale": setting.scale.name,
        "dataset": setting.dataset,
        "replicate": replicate,
        "identity": identity,
        "objective": f"{METRIC}: {OBJECTIVE}",
        "sampler": f"TPE after {len(FIRST)} given betas, on a grid of {STEP} from {LOW} to {HIGH}",
    }
    with _journal(folder) as storage:
        study = _study(storage, f"beta {setting.scale.name} {setting.dataset} {replicate}", identity, folder / "journal.log")
        while len(done := _completed(study)) < trials and not _exhausted(done):
            _enqueue(study, done)
            study.sampler = _sampler(replicate, len(done))
            trial = _try(study, setting, store, replicate, execute)
            if tracker:
                for link in beta_stage(setting, trial.beta).chain():
                    tracker.mirror_run(store, link.id, replicate, (NAME,))
            tell(trial)
        found = Found(max(done, key=lambda trial: trial.value), tuple(done), _exhausted(done))
        files = write_search(found, folder, about)
    if tracker:
        rows = [{"row": f"beta {trial.beta}", "metric": METRIC, "mean": trial.value} for trial in found.trials]
        rows += [
            {"row": "best", "metric": name, "mean": value}
            for name, value in (("beta", found.best.beta), (METRIC, found.best.value))
        ]
        tracker.mirror_study(NAME, files, rows, [(trial.cell, replicate) for trial in found.trials], OBJECTIVE, about)
    return found


def _try(study: optuna.Study, setting: Setting, store: Results, replicate: int, execute: Callable[[list[Stage]], None]) -> Trial:
    """One trial. An interrupt passes through and leaves it RUNNING in the journal, just as a kill does; see `_study`."""
    import optuna

    asked = study.ask({"beta": optuna.distributions.FloatDistribution(LOW, HIGH, step=STEP)})
    beta = round(asked.params["beta"], 2)  # 0.1 + 4 * 0.05 is not quite 0.3, and would be another cell
    stage = beta_stage(setting, beta)
    reused = store.result(stage.id, replicate) is not None
    if not reused:
        execute(stage.chain())
    result = store.result(stage.id, replicate)
    value = result["metrics"].get(METRIC) if result else None
    if value is None or not math.isfinite(value):
        study.tell(asked, state=optuna.trial.TrialState.FAIL)
        raise FameError(_explain(store, stage, beta, replicate, finished=result is not None))
    asked.set_user_attr("cell", stage.id)
    asked.set_user_attr("reused", reused)
    study.tell(asked, value)
    return Trial(asked.number, beta, value, stage.id, reused)


def _explain(store: Results, stage: Stage, beta: float, replicate: int, finished: bool) -> str:
    if finished:
        mend = "the search needs a dataset with a validation split"
        return f"the search stopped at beta = {beta}: run {stage.id}/{replicate} has no {METRIC}; {mend}"
    failures = [failure for link in stage.chain() if (failure := store.failure(link.id, replicate))]
    why = failures[0].get("message", "no reason given") if failures else "it was not finished"
    return f"the search stopped at beta = {beta}: {why}; the same command tries it again, and completed trials are kept"


# ---------------------------------------------------------------- the journal


@contextmanager
def _journal(folder: Path) -> Iterator[optuna.storages.JournalStorage]:
    """The journal of this OUT, for one process at a time. What a kill may leave, half a line or Optuna's lock, is cleared away."""
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = folder / "journal.log"
    lock = FileLock(folder / ".search.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise FameError(f"{folder}: another search is at work there; wait for it, or choose another folder with --out") from None
    except OSError as error:
        raise FameError(f"{folder}: cannot write there ({error.strerror or error}); choose another folder with --out") from None
    try:
        Path(f"{path}.lock").unlink(missing_ok=True)
        whole = path.read_bytes() if path.exists() else b""
        if whole and not whole.endswith(b"\n"):
            path.write_bytes(whole[: whole.rfind(b"\n") + 1])
        try:
            storage = optuna.storages.JournalStorage(JournalFileBackend(str(path), JournalFileOpenLock(str(path))))
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # whatever replaying a foreign file meets
            raise FameError(f"{path}: this is no journal that Optuna can read ({error!r}); {_mend(path)}") from None
        yield storage
    finally:
        lock.release()


def _study(storage: optuna.storages.JournalStorage, name: str, identity: str, journal: Path) -> optuna.Study:
    """The study `name`, begun or continued. Its identity is that of all cells of the grid."""
    import optuna

    study = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", identity)
    elif known != identity:
        raise FameError(
            f"{journal}: its study '{name}' was written by another setting (cells {known}, now {identity}); {_mend(journal)}"
        )
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # the process that ran it is gone: see `_journal`
    return study


def _mend(journal: Path) -> str:
    return f"move {journal} away, or choose another folder with --out"


def _enqueue(study: optuna.Study, done: list[Trial]) -> None:
    """Queue the next beta that is given and not proposed: of the first ones, then of trials that were killed or failed."""
    import optuna

    state = optuna.trial.TrialState
    trials = study.get_trials(deepcopy=False)
    broken = [round(trial.params["beta"], 2) for trial in trials if trial.state == state.FAIL and "beta" in trial.params]
    left = [beta for beta in (*FIRST, *broken) if beta not in {trial.beta for trial in done}]
    if left and not any(trial.state == state.WAITING for trial in trials):
        study.enqueue_trial({"beta": left[0]})


def _sampler(replicate: int, completed: int) -> optuna.samplers.BaseSampler:
    """TPE, seeded anew for every trial by what is complete: a broken and continued search proposes what an unbroken one does."""
    import optuna

    seed = Seeds(replicate).of(NAME, completed) % 2**32
    return optuna.samplers.TPESampler(n_startup_trials=len(FIRST), seed=seed)


def _completed(study: optuna.Study) -> list[Trial]:
    import optuna

    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return [Trial(trial.number, round(trial.params["beta"], 2), trial.values[0], **trial.user_attrs) for trial in trials]


def _exhausted(trials: list[Trial]) -> bool:
    return {trial.beta for trial in trials} >= set(GRID)
