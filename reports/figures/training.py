"""The pretrainings' losses over epochs: whether a schedule was long enough to say anything."""

from __future__ import annotations

import json
from pathlib import Path

from fame.config import MoCoObjective, Pretrain
from reports.evidence import Evidence
from reports.figures.style import BLUE, GREEN, GRID, MUTED, ORANGE, SKY, VERMILION, Drawn, canvas, save
from studies.paper.area_ratio import STUDY as AREA
from studies.paper.background_source import STUDY as SOURCE
from studies.paper.foreground_mask import STUDY as MASK

FIELDS = ("method", "replicate", "epoch", "loss")
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, SKY, MUTED, "#CC79A7", "#F0E442", "#1b1f24")


def draw(evidence: Evidence, folder: Path) -> Drawn | None:
    """A line a method of tables 1, 3 and 4 (pretrained on A, one view merged), first replicate; None without logged losses."""
    curves: dict[str, list[tuple[int, float]]] = {}
    seen: set[str] = set()
    for study in (AREA, SOURCE, MASK):
        for row in evidence.setting.rows(study):
            stage = evidence.setting.pretraining(row.method) if row.method and row.column in ("", "single") else None
            if stage is None or stage.id in seen or not isinstance(stage.config, Pretrain) or not stage.config.objective.trains:
                continue
            seen.add(stage.id)
            losses = read(evidence.store.folder(stage.id, evidence.replicates[0]) / "metrics.jsonl")
            if losses:
                curves[_name(stage.config)] = losses
    if not curves:
        return None
    figure, axes = canvas(1, 1, 7.2, 3.1)
    axis = axes[0, 0]
    for (name, losses), colour in zip(curves.items(), COLOURS * 2, strict=False):
        axis.plot(*zip(*losses, strict=True), color=colour, linewidth=1.5, label=name)
    axis.set_xlabel("epoch")
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_ylabel("training loss")
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


def _name(config: Pretrain) -> str:
    if not isinstance(config.objective, MoCoObjective):
        return config.objective.kind
    merge = config.objective.merge
    if merge is None:
        return "baseline"
    if merge.background != "inter":
        return {"intra": "intra-video background"}.get(merge.background, f"{merge.background} background")
    return f"FAME {merge.beta:g}" if merge.variant == "fame" else merge.variant.capitalize()
