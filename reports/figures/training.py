"""The pretrainings' losses over epochs: whether a schedule was long enough to say anything."""

from __future__ import annotations

import json
from pathlib import Path

from reports.evidence import Evidence
from reports.figures.style import GRID, Drawn, canvas, lines_of, save
from studies.paper.tables import AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK

FIELDS = ("method", "replicate", "epoch", "loss")


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """A line a method of tables 1, 3 and 4 (one view merged), else of every table, first replicate; None without logged losses."""
    curves: dict[str, list[tuple[int, float]]] = {}
    tables = [evidence.records.table(study.name) for study in (AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK)]
    if not any(tables):
        tables = [evidence.records.table(study["name"]) for study in evidence.about["studies"]]
    cells = [cell for table in tables for cell in table if cell.column in ("", "single")]
    for cell in {cell.upstream: cell for cell in reversed(cells) if cell.upstream}.values():
        losses = read(evidence.store.folder(cell.upstream.split()[0], evidence.replicates[0]) / "metrics.jsonl")
        if losses:
            curves[cell.method] = losses
    curves = dict(sorted(curves.items()))
    if not curves:
        return None
    figure, axes = canvas(1, 1, 7.2, 3.1)
    axis = axes[0, 0]
    for name, style in lines_of(curves).items():
        axis.plot(*zip(*curves[name], strict=True), **style, linewidth=1.5, label=name)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("training loss, nats")
    axis.grid(color=GRID, linewidth=0.7)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    lines = [(name, evidence.replicates[0], epoch, loss) for name, losses in curves.items() for epoch, loss in losses]
    caption = "Training loss per epoch, first replicate. Levels cannot be compared between merges: merging makes the task harder."
    return save(figure, folder, "training_curves", "Pretraining", caption, FIELDS, lines)


def read(path: Path) -> list[tuple[int, float]]:
    """(epoch, loss) from metrics.jsonl; a broken line is passed over."""
    found: dict[int, float] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            value = json.loads(line)
            found[int(value["step"])] = float(value["loss"])
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(found.items())
