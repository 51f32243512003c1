"""Mirror a search in MLflow: one run of the experiment `search_beta`, whose children are the trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from studies.harness.store import Store
from studies.search.search import Row
from studies.search.space import Space
from studies.tracking import Tracker, never_fails

NAME = "search_beta"


def mirror_search(mirror: Tracker, store: Store, space: Space, found: Row, files: list[Path]) -> None:
    """Mirror the runs of all trials, the search with its best value, and the trials; a dead server is one warning."""
    trials, metric = found["trials"], found["objective"]
    chains = [space.stage(one["params"]).chain() for one in trials]
    keys = [(stage.id, number) for chain in chains for stage in chain for number in found["replicates"]]
    mirror.mirror_runs(store, keys)
    about = {name: str(found[name]) for name in ("scale", "dataset", "objective", "replicates", "study")}
    best = [{"row": "best", "metric": metric, "mean": found["best"]["value"]}] if found["best"] else []
    mirror.mirror_study(NAME, files, best, keys, found["says"], about)
    _mirror_trials(mirror, trials, metric)


@never_fails
def _mirror_trials(mirror: Tracker, trials: list[dict[str, Any]], metric: str) -> bool:
    """Write the trials that are not there yet, by their cells, as children of the search's run."""
    client = mirror.client
    there = client.get_experiment_by_name(NAME)
    assert there is not None
    experiment = there.experiment_id
    (parent,) = client.search_runs([experiment], f"tags.`fame.study` = '{NAME}'")
    tags = {"mlflow.parentRunId": parent.info.run_id}
    children = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    known = {run.data.params["cell"] for run in children}
    for one in (one for one in trials if one["cell"] not in known):
        name = ", ".join(f"{field} {value}" for field, value in one["params"].items())
        run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        for field, value in (one["params"] | {"state": one["state"], "cell": one["cell"]}).items():
            client.log_param(run, field, value)
        for step, value in (one["steps"] or {0: one["value"]}).items():
            client.log_metric(run, metric, value, step=step)
        client.log_metric(run, "standard_error", one["standard_error"])
        client.set_terminated(run)
    return True
