"""The pretrainings' losses over epochs: whether a schedule was long enough to say anything."""

import json
from contextlib import suppress
from pathlib import Path

import pandas as pd

from reports.evidence import Evidence
from reports.figures.style import GRID, Drawn, canvas, lines_of, save
from studies.harness.store import METRICS
from studies.paper.tables import AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """Draw a line a method of tables 1, 3 and 4, else of every table, first replicate; None without logged losses."""
    curves: dict[str, list[tuple[int, float]]] = {}
    tables = [evidence.records.table(study.name) for study in (AREA_RATIO, BACKGROUND_SOURCE, FOREGROUND_MASK)]
    if not any(tables):
        tables = [evidence.records.table(study["name"]) for study in evidence.about["studies"]]
    cells = [cell for table in tables for cell in table if cell.column in ("", "single")]
    for cell in {cell.upstream: cell for cell in reversed(cells) if cell.upstream}.values():
        losses = read(evidence.store.folder(cell.upstream.split()[0], evidence.replicates[0]) / METRICS)
        if losses:
            curves[cell.method] = losses
    if not curves:
        return None
    figure, axes = canvas(1, 1, 7.2, 3.1)
    axis = axes[0, 0]
    for name, style in lines_of(sorted(curves)).items():
        axis.plot(*zip(*curves[name], strict=True), **style, linewidth=1.5, label=name)
    axis.set(xlabel="epoch", ylabel="training loss, nats")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(color=GRID, linewidth=0.7)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    lines = [(name, evidence.replicates[0], *point) for name in sorted(curves) for point in curves[name]]
    caption = "Training loss per epoch, first replicate. Levels cannot be compared between merges: merging makes the task harder."
    table = pd.DataFrame(lines, columns=["method", "replicate", "epoch", "loss"])
    return save(figure, folder, "training_curves", "Pretraining", caption, table)


def read(path: Path) -> list[tuple[int, float]]:
    """Return (epoch, loss) from metrics.jsonl; a broken line is passed over."""
    found: dict[int, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError, KeyError, TypeError):
            value = json.loads(line)
            found[int(value["step"])] = float(value["loss"])
    return sorted(found.items())
