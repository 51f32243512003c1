"""Mirror a report in MLflow, and the runs that were not mirrored when they were run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

from fame.data.parallel import live_with_parent
from fame.files import read_json
from fame.processes import without_main
from reports.page import DATA
from studies.harness.progress import Tell, silent
from studies.harness.store import Store
from studies.mirrored import noted
from studies.records import read
from studies.tracking import FEW, Tracker


@contextmanager
def mirroring_beside(store: Store, mirror: Tracker | None) -> Iterator[Callable[[Tell], None]]:
    """Mirror many missing runs in a process of its own while the report is made; give a function that mirrors the rest after it.

    MLflow's import and a thousand runs take as long as the page.
    """
    if mirror is None:
        yield lambda tell: None
    elif mirror.failed or sum(1 for _ in store.all()) - len(noted(store.out)) <= FEW:
        yield lambda tell: mirror_report(store, mirror, tell)
    else:
        with ProcessPoolExecutor(1, get_context("spawn"), live_with_parent) as beside:
            with without_main():
                runs = beside.submit(mirror_runs, store, mirror)

            def rest(tell: Tell) -> None:
                tell("MLflow", 0, 1)
                if runs.result():
                    beside.submit(mirror_report, store, mirror).result()
                tell("MLflow", 1, 1)

            yield rest


def mirror_runs(store: Store, mirror: Tracker, tell: Tell = silent) -> bool:
    """Mirror the finished runs in OUT that are not mirrored yet; return whether that went well."""
    serves = {stage: one.studies for stage, one in read(store.out).listed.items()}
    return mirror.mirror_runs(store, store.all(), serves, tell)


def mirror_report(store: Store, mirror: Tracker, tell: Tell = silent) -> None:
    """Mirror what lies in OUT/report, and runs that are missing."""
    records = read(store.out)
    serves = {stage: one.studies for stage, one in records.listed.items()}
    mirror.mirror_runs(store, store.all(), serves, tell)
    folder = store.out / "report"
    rows = read_json(folder / DATA).get("tables", {})
    about = {name: records.about[name] for name in ("scale", "dataset")}
    about |= {"protocol": said} if (said := records.about["protocol"]["said"]) else {}
    for study in records.about["studies"]:
        name = study["name"]
        files = [path for room in ("tables", "figures") for path in (folder / room).glob(f"{name}*") if path.is_file()]
        stages = [stage for stage, of in serves.items() if name in of]
        runs = [(stage, number) for stage in stages for number in records.about["replicates"] if store.finished(stage, number)]
        mirror.mirror_study(name, files, rows.get(name, ()), runs, f"{study['title']} ({study['paper']})", about)
