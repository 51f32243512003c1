"""What a search over beta leaves: OUT/search/beta.json, beta.csv, and the curve as beta.png and beta.svg, drawn from that csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fame.files import write_atomically, write_json
from fame.seeds import SELECTION_REPLICATES

INK, BLUE, VERMILION = "#1b1f24", "#0072B2", "#D55E00"  # as in reports/figures


@dataclass(frozen=True)
class Trial:
    """A completed trial. `value` is validation accuracy in percent. `reused`: the run was there before the trial began."""

    number: int
    beta: float
    value: float
    cell: str
    reused: bool


@dataclass(frozen=True)
class Found:
    """`best` and all completed `trials`; `exhausted` where every beta of the grid has been tried: more trials tell nothing."""

    best: Trial
    trials: tuple[Trial, ...]
    exhausted: bool

    @property
    def curve(self) -> list[tuple[float, float]]:
        """(beta, accuracy) of every beta tried, once, in order of beta."""
        return sorted({trial.beta: trial.value for trial in self.trials}.items())


def write_search(found: Found, folder: Path, about: Mapping[str, Any]) -> list[Path]:
    """Write the four files to `folder` and return their paths. `about`: scale, dataset, replicate, objective of the search."""
    value = {
        **about,
        "selection_world": about["replicate"] >= SELECTION_REPLICATES,  # else verdicts look at this world too
        "best": asdict(found.best),
        "trials": [asdict(trial) for trial in found.trials],
        "betas": len(found.curve),
        "reused": sum(trial.reused for trial in found.trials),
        "exhausted": found.exhausted,
    }
    files = {suffix: folder / f"beta.{suffix}" for suffix in ("json", "csv", "png", "svg")}
    write_json(files["json"], value)
    write_atomically(files["csv"], lambda beside: _table(beside, found))
    _draw(found, about, files["png"], files["svg"])
    return list(files.values())


def _table(path: Path, found: Found) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("trial", "beta", "val_top1", "cell", "reused", "best"))
        for trial in found.trials:
            best = trial.beta == found.best.beta
            writer.writerow((trial.number, trial.beta, trial.value, trial.cell, int(trial.reused), int(best)))


def _draw(found: Found, about: Mapping[str, Any], png: Path, svg: Path) -> None:
    """Validation accuracy over beta; the best beta is marked, and 1.0 is named as the baseline."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.size": 9, "svg.hashsalt": "fame", "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*found.curve), "o-", color=BLUE, markersize=4, linewidth=1.2, zorder=2)
        axes.plot([found.best.beta], [found.best.value], "o", color=VERMILION, markersize=9, zorder=3)
        left = found.best.beta > 0.8
        axes.annotate(
            f"β = {found.best.beta}: {found.best.value:.1f} %",
            (found.best.beta, found.best.value),
            xytext=(-8 if left else 8, 6),
            textcoords="offset points",
            ha="right" if left else "left",
            color=VERMILION,
        )
        axes.set_xlim(0.05, 1.05)
        axes.margins(y=0.18)
        axes.set_xticks([0.1, 0.3, 0.5, 0.7, 1.0], ["0.1", "0.3", "0.5", "0.7", "1.0\n(baseline)"])
        axes.set_xlabel("β, share of the frame kept as foreground", color=INK)
        axes.set_ylabel("validation accuracy, linear probe (%)", color=INK)
        where = f"{about['scale']}, {about['dataset']}, replicate {about['replicate']}"
        axes.set_title(f"{where}: {len(found.trials)} trials", fontsize=9)
        write_atomically(png, lambda beside: figure.savefig(beside, format="png", dpi=150, metadata={"Software": None}))
        write_atomically(svg, lambda beside: figure.savefig(beside, format="svg", metadata={"Date": None, "Creator": None}))
