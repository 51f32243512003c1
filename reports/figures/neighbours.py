"""Retrieval's examples: a query and its nearest videos by the baseline and by FAME (table 6)."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fame.data.stored import middle_frame
from reports.evidence import Evidence
from reports.figures.pictures import show, varied
from reports.figures.style import GREEN, VERMILION, Drawn, canvas, save
from studies.study import fame, moco

METHODS = {"baseline": moco().text, "FAME": fame().text}
CONDITIONS = ("own", "deranged")  # scenes of staged queries; real ones have their own
FILE, RETRIEVAL = "neighbours.csv", "retrieval"
QUERIES = 4
SIDE = 96  # pixels at most: a page holds some 40 of these pictures
LETTERS = 14  # of a class's name


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a line a query; None where no run has kept neighbours, or where OUT/cache lacks the frames of one."""
    targets = dict.fromkeys(cell.target for cell in evidence.records.table(name) if cell.evaluation == RETRIEVAL)
    asked = list(product(["A"] if "A" in targets else targets, CONDITIONS))
    groups = [group for target, condition in asked if len(group := nearest(evidence, target, condition))]
    if not groups:
        return None
    table = pd.concat([_chosen(group, max(1, QUERIES // len(groups))) for group in groups], ignore_index=True)
    read = {path: middle_frame(evidence.store.cache / path) for path in table["frames"]}
    frames = {path: frame for path, frame in read.items() if frame is not None}
    if len(frames) < len(read):
        return None
    lines = list(table.groupby(["target", "condition", "query"], sort=False))
    many = int(table["place"].max())
    ratios = [1, 0.2, *[1] * many, 0.2, *[1] * many]
    figure, axes = canvas(len(lines), len(ratios), 0.98 * sum(ratios) + 1, 1.2 * len(lines) + 0.4, width_ratios=ratios)
    for line, (_, shown) in zip(axes, lines, strict=True):
        for axis in line:
            axis.set(xticks=[], yticks=[], frame_on=False)
        wanted = shown["class"].iloc[0]
        for place, method, path, label in zip(shown["place"], shown["method"], shown["frames"], shown["class"], strict=True):
            axis = line[place and place + 1 + (many + 1) * list(METHODS).index(method)]
            picture = Image.fromarray(frames[path])
            picture.thumbnail((SIDE, SIDE))
            show(axis, np.asarray(picture))
            text = label if len(label) <= LETTERS else f"{label[: LETTERS - 1]}\N{HORIZONTAL ELLIPSIS}"
            right = "\N{CHECK MARK}" if label == wanted else "\N{BALLOT X}"
            told = {"color": GREEN if label == wanted else VERMILION} if place else {}
            axis.set_xlabel(f"{right} {text}" if place else text, fontsize=7.5, labelpad=2, **told)
        where = [shown["target"].iloc[0]] if len(targets) > 1 and "A" not in targets else []
        where += [f"{shown['condition'].iloc[0]} scene"] if "deranged" in set(table["condition"]) else []
        line[0].set_ylabel("\n".join(where), rotation=0, ha="right", va="center")
    axes[0, 0].set_title("query", loc="left")
    for start, method in zip((2, many + 3), METHODS, strict=True):
        axes[0, start].set_title(f"nearest by {method}", loc="left")
    caption = (
        f"Test videos of the first replicate, and of the training videos the {many} nearest by the cosine of frozen features; "
    )
    caption += "a check marks the query's class. Queries are the first of different classes among evenly spaced ones, not chosen."
    return save(figure, folder, f"{name}_neighbours", "Retrieved videos", caption, table, name)


def nearest(evidence: Evidence, target: str, condition: str) -> pd.DataFrame:
    """Return the lines of neighbours.csv for both methods; empty where one has none in any replicate."""
    tables = []
    for method, text in METHODS.items():
        runs = evidence.records.runs(text, RETRIEVAL, target)
        there = [number for number in evidence.replicates if runs and evidence.result(runs.id, number)]
        table = evidence.store.table(runs.id, there[0], FILE) if runs and there else None
        if table is None:
            return pd.DataFrame()
        tables.append(table[table["condition"] == condition].assign(method=method, target=target))
    return pd.concat(tables, ignore_index=True)


def _chosen(group: pd.DataFrame, count: int) -> pd.DataFrame:
    """Keep the lines of `count` queries, of different classes."""
    queries = group[group["place"] == 0].drop_duplicates("query")
    kept = queries.iloc[varied(queries["class"].tolist(), count)]["query"]
    return group[group["query"].isin(kept)]
