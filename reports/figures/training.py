"""The pretrainings' losses over epochs: whether a schedule was long enough to say anything."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from reports.evidence import Evidence
from reports.figures.style import GRID, Drawn, canvas, lines_of, save
from reports.texts import counted
from studies.harness.store import METRICS
from studies.paper.tables import AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """Draw the mean and the range over replicates of each method of tables 1, 3 and 4, else of every table; None without losses."""
    tables = [evidence.records.table(study.name) for study in (AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK)]
    if not any(tables):
        tables = [evidence.records.table(study["name"]) for study in evidence.about["studies"]]
    cells = [cell for table in tables for cell in table if cell.column in ("", "single") and cell.upstream]
    stages = {cell.upstream.split()[0]: cell.method for cell in reversed(cells)}
    lines = [
        (method, replicate, *point)
        for stage, method in stages.items()
        for replicate in _told(evidence, stage)
        for point in read(evidence.store.folder(stage, replicate) / METRICS)
    ]
    if not lines:
        return None
    table = pd.DataFrame(lines, columns=["method", "replicate", "epoch", "loss"]).sort_values(["method", "replicate", "epoch"])
    figure, axes = canvas(1, 1, 7.2, 3.1)
    axis = axes[0, 0]
    methods = list(table["method"].unique())
    for name, style in lines_of(dict(zip(methods, methods, strict=True))).items():
        over = table[table["method"] == name].groupby("epoch")["loss"].agg(["mean", "min", "max"])
        axis.fill_between(over.index, over["min"], over["max"], color=style["color"], alpha=0.18, linewidth=0)
        axis.plot(over.index, over["mean"], **style, linewidth=1.5, label=name)
    axis.set(xlabel="epoch", ylabel="training loss, nats")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(color=GRID, linewidth=0.7)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    many = counted(table.groupby("method")["replicate"].nunique())
    caption = f"Training loss per epoch, {many}: the mean and, shaded, the lowest and highest over replicates. "
    caption += "Levels cannot be compared between merges: merging makes the task harder."
    return save(figure, folder, "training_curves", "Pretraining", caption, table)


def _told(evidence: Evidence, stage: str) -> Sequence[int]:
    """Return the finished replicates, of which every epoch is a mean of the same; before one is finished, all."""
    return [number for number in evidence.replicates if evidence.result(stage, number)] or evidence.replicates


def read(path: Path) -> list[tuple[int, float]]:
    """Return (epoch, loss) from metrics.jsonl; a broken line is passed over."""
    found: dict[int, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            value = json.loads(line)
            found[int(value["step"])] = float(value["loss"])
    return sorted(found.items())
