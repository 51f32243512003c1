"""Retrieval's examples: a query and its nearest videos by the baseline and by FAME (table 6)."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from fame.data.stored import middle_frame
from reports.evidence import Evidence
from reports.figures.pictures import show, varied
from reports.figures.style import GREEN, INK, VERMILION, Drawn, canvas, save
from studies.study import MEAN, fame, moco

METHODS = {"baseline": moco().text, "FAME": fame().text}
CONDITIONS = ("own", "deranged")  # scenes of staged queries; real ones have their own
FILE, RETRIEVAL = "neighbours.csv", "retrieval"
QUERIES = 4
SIDE = 72  # pixels at most: a page holds some 40 of these pictures
LETTERS = 14  # of a class's name


def draw(evidence: Evidence, name: str, found: list[dict[str, Any]], folder: Path) -> Drawn | None:
    """Draw a line a query; None where no run has kept neighbours, or where OUT/cache lacks the frames of one."""
    cells = [cell for cell in evidence.records.table(name) if cell.evaluation == RETRIEVAL]
    targets = dict.fromkeys(cell.target for cell in cells if cell.target != MEAN)
    asked = product(["A"] if "A" in targets else targets, CONDITIONS)
    groups = [group for target, condition in asked if len(group := nearest(evidence, target, condition))]
    if not groups:
        return None
    table = pd.concat([chosen(group, max(1, QUERIES // len(groups))) for group in groups], ignore_index=True)
    read = {path: middle_frame(evidence.store.cache / path) for path in table["frames"]}
    frames = {path: frame for path, frame in read.items() if frame is not None}
    if len(frames) < len(read):
        return None
    lines = list(table.groupby(["target", "condition", "query"], sort=False))
    many = int(table["place"].max())
    ratios = [1, 0.2, *[1] * many, 0.2, *[1] * many]
    figure, axes = canvas(len(lines), len(ratios), 0.98 * sum(ratios) + 1, 1.2 * len(lines) + 0.4, width_ratios=ratios)
    for axis in axes[:, [1, many + 2]].flat:
        axis.set_visible(False)
    for line, ((target, condition, _), shown) in zip(axes, lines, strict=True):
        for place, method, path, label in zip(shown["place"], shown["method"], shown["frames"], shown["class"], strict=True):
            axis = line[place and place + 1 + (many + 1) * list(METHODS).index(method)]
            picture = Image.fromarray(frames[path])
            side = min(SIDE, *picture.size)
            show(axis, np.asarray(ImageOps.fit(picture, (side, side))))  # the centre, as the network sees it
            right = label == shown["class"].iloc[0]
            mark, colour = ("\N{CHECK MARK} ", GREEN) if right else ("\N{BALLOT X} ", VERMILION)
            told = (mark if place else "") + label[:LETTERS]
            axis.set_xlabel(told, fontsize=7.5, labelpad=2, color=colour if place else INK)
        where = target if evidence.about["real"] else f"{condition} scene"
        line[0].set_ylabel(where, rotation=0, ha="right", va="center")
    for column, text in zip((0, 2, many + 3), ("query", *(f"nearest by {method}" for method in METHODS)), strict=True):
        axes[0, column].set_title(text, loc="left")
    caption = f"Test videos, and of the training videos the {many} nearest by the cosine of frozen features of one replicate; a "
    caption += "check marks the query's class. Queries are the first of different classes among evenly spaced ones, not chosen."
    return save(figure, folder, f"{name}_neighbours", "Retrieved videos", caption, table, name)


def nearest(evidence: Evidence, target: str, condition: str) -> pd.DataFrame:
    """Return the lines of neighbours.csv of the first replicate that has them for both methods; empty where none has."""
    runs = {method: evidence.records.runs(text, RETRIEVAL, target) for method, text in METHODS.items()}
    for replicate in evidence.replicates:
        kept = {method: evidence.store.table(one.id, replicate, FILE) for method, one in runs.items() if one}
        tables = [table.assign(method=method, target=target) for method, table in kept.items() if table is not None]
        if len(tables) == len(METHODS):
            both = pd.concat(tables, ignore_index=True).astype({"class": str})
            return both[both["condition"] == condition]
    return pd.DataFrame()


def chosen(group: pd.DataFrame, count: int) -> pd.DataFrame:
    """Keep the lines of `count` queries, of different classes."""
    queries = group[group["place"] == 0].drop_duplicates("query")
    kept = queries.iloc[varied(queries["class"].tolist(), count)]["query"]
    return group[group["query"].isin(kept)]
