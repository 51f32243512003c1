"""A report in MLflow: tables and figures go to the studies' experiments, as files and as numbers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reports.page import DATA
from studies.setting.resolve import all_stages

if TYPE_CHECKING:
    from studies.harness.store import Store
    from studies.setting.asked import Asked
    from studies.tracking import Tracker


def mirror_report(store: Store, asked: Asked, mirror: Tracker | None) -> None:
    """Mirror what lies in OUT/report, and the runs that were not mirrored when they were run; None: tracking is off."""
    if mirror is None:
        return
    serves = {stage_id: studies for stage_id, (_, studies) in all_stages(asked.setting, asked.studies).items()}
    for stage_id, replicate in store.all():
        mirror.mirror_run(store, stage_id, replicate, serves.get(stage_id, ()))
    folder = store.out / "report"
    try:
        rows = json.loads((folder / DATA).read_text(encoding="utf-8"))["tables"]
    except (OSError, ValueError, KeyError):
        rows = {}
    about = {"scale": asked.setting.scale.name, "dataset": asked.setting.dataset}
    about |= {"protocol": asked.setting.protocol.said} if asked.setting.protocol.said else {}
    for study in asked.studies:
        files = [path for room in ("tables", "figures") for path in (folder / room).glob(f"{study.name}*") if path.is_file()]
        stages = all_stages(asked.setting, (study,))
        runs = [(stage, number) for stage in stages for number in asked.replicates if store.finished(stage, number)]
        mirror.mirror_study(study.name, files, rows.get(study.name, ()), runs, f"{study.title} ({study.paper})", about)
