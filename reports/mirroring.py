"""A report in MLflow: tables and figures go to the studies' experiments, as files and as numbers."""

from __future__ import annotations

import json
from typing import Any

from reports.page import DATA
from studies.harness.store import Store
from studies.records import read


def mirror_report(store: Store, mirror: Any) -> None:
    """Mirror what lies in OUT/report, and the runs that were not mirrored when they were run; None: tracking is off."""
    if mirror is None:
        return
    records = read(store.out)
    serves = {stage: one.studies for stage, one in records.listed.items()}
    for stage, replicate in store.all():
        mirror.mirror_run(store, stage, replicate)
    folder = store.out / "report"
    try:
        rows = json.loads((folder / DATA).read_text(encoding="utf-8"))["tables"]
    except (OSError, ValueError, KeyError):
        rows = {}
    about = {name: records.about[name] for name in ("scale", "dataset")}
    about |= {"protocol": said} if (said := records.about["protocol"]["said"]) else {}
    for study in records.about["studies"]:
        name = study["name"]
        files = [path for room in ("tables", "figures") for path in (folder / room).glob(f"{name}*") if path.is_file()]
        stages = [stage for stage, of in serves.items() if name in of]
        runs = [(stage, number) for stage in stages for number in records.about["replicates"] if store.finished(stage, number)]
        mirror.mirror_study(name, files, rows.get(name, ()), runs, f"{study['title']} ({study['paper']})", about)
