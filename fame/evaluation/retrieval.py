"""Retrieve videos by the cosine of frozen features (paper, table 6); the training videos are the gallery.

R@k is the percentage of queries with a neighbour of the right class among the k nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from fame.config import Retrieval
from fame.data.clips import VideoSet
from fame.evaluation.analysis.activation_maps import evenly
from fame.evaluation.artifacts import write_table
from fame.evaluation.features import notes_of, opened, shared_features
from fame.evaluation.predictions import VALIDATION, facts, training_rows
from fame.run import Run

Features = Callable[[Tensor], Tensor]  # of rows
Asked = tuple[str, Tensor, Tensor, Tensor, Tensor]  # split; rows and unit vectors of its queries, and of their gallery
FILE, NEIGHBOURS = "retrieval.csv", "neighbours.csv"
COLUMNS = ["video", "performance", "condition", "label", "rank"]
EXAMPLES, NEAREST = 12, 5  # queries of a split whose nearest neighbours are kept for a picture
TIE = 1e-6  # cosines of float32 features that differ by less are equal
QUERIES = 512  # a block of similarities at a time: UCF101 has 9,537 gallery videos


def embed(features: Tensor) -> Tensor:
    """Clip features (N, clips, dim) of one split -> unit vectors (N, dim), centred on that split's own mean."""
    averaged = normalize(features.float(), dim=-1).mean(dim=1)
    return normalize(averaged - averaged.mean(dim=0, keepdim=True), dim=-1)


def first_right_rank(queries: Tensor, query_labels: Tensor, gallery: Tensor, gallery_labels: Tensor) -> Tensor:
    """Return the rank, from 1, of the first neighbour of the right class, (Q,); 0 without any. Ties count against the query."""
    ranks = []
    for vectors, labels in zip(queries.split(QUERIES), query_labels.split(QUERIES), strict=True):
        similarity = vectors @ gallery.T
        right = labels[:, None] == gallery_labels[None]
        best = similarity.masked_fill(~right, -torch.inf).amax(dim=1, keepdim=True)
        ahead = ((similarity >= best - TIE) & ~right).sum(dim=1)
        ranks.append(torch.where(right.any(dim=1), ahead + 1, 0))
    return torch.cat(ranks)


def neighbours(
    videos: VideoSet, rows: Tensor, queries: Tensor, gallery_rows: Tensor, gallery: Tensor, condition: str, cache: Path
) -> pd.DataFrame:
    """List evenly spaced queries (place 0) and the NEAREST of each (1, 2, ...), with the files of their frames below `cache`."""
    chosen = evenly(torch.arange(len(rows)), EXAMPLES)
    near = gallery_rows[(queries[chosen] @ gallery.T).topk(min(NEAREST, len(gallery))).indices]
    paths, lines = videos.tag("path"), []
    for query, found in zip(rows[chosen].tolist(), near.tolist(), strict=True):
        for place, row in enumerate((query, *found)):
            frames = videos.store.paths[row].relative_to(cache).as_posix()
            lines.append((condition, paths[query], place, paths[row], videos.classes[videos.labels[row]], frames))
    return pd.DataFrame(lines, columns=["condition", "query", "place", "video", "class", "frames"])


def recall(ranks: pd.Series, k: int) -> float:
    """R@k in percent; an empty rank (no gallery video of that class) is a miss."""
    return float(100 * (ranks <= k).fillna(False).mean())


def metrics_from(frame: pd.DataFrame, ranks: tuple[int, ...], gallery: int) -> dict[str, float]:
    """`R@k` of the own scene, `R@k/CONDITION` of the others; k is capped to the number of gallery videos."""
    return {
        f"R@{k}" + ("" if condition == "own" else f"/{condition}"): recall(lines["rank"], min(k, gallery))
        for condition, lines in frame.groupby("condition", sort=True)
        for k in ranks
    }


def retrieval(config: Retrieval, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Evaluate by retrieval; writes `retrieval.csv`. With folds, the videos of the other folds are a query's gallery."""
    net, videos, tested = opened(config, encoder, run)

    def features(rows: Tensor) -> Tensor:
        return shared_features(net, encoder, videos, rows, config, run)

    notes: dict[str, Any]
    if folds := videos.folds():
        asked, smallest = _of_folds(features, folds), sum(map(len, folds)) - max(map(len, folds))
        notes = {"folds": [len(held) for held in folds]}
        queries = {}
    else:
        train, held_out = training_rows(videos, config.clip), config.queries == VALIDATION
        queries = {split: rows for split, rows in tested.items() if (split.split("/")[0] == VALIDATION) == held_out}
        asked, smallest = _of_splits(features, train, queries), len(train)
        notes = {
            "gallery": len(train),
            "queries": {split: len(rows) for split, rows in queries.items()},
            "classes_in_gallery": len(videos.labels[train].unique()),
            **notes_of(config, videos, ["train", *queries], run),
        }
    frames, examples = [], []
    for done, (split, rows, vectors, others, gallery) in enumerate(asked, start=1):
        ranks = first_right_rank(vectors, videos.labels[rows], gallery, videos.labels[others])
        frame = facts(videos, rows, split)
        if run.cache:
            examples.append(neighbours(videos, rows, vectors, others, gallery, frame["condition"].iloc[0], run.cache))
        frame["rank"] = pd.array([int(rank) or None for rank in ranks], dtype="Int64")
        frames.append(frame[COLUMNS])
        run.log(step=done, steps=len(queries or folds), phase=split)
    table = pd.concat(frames, ignore_index=True)
    if not folds:
        notes["queries_without_gallery_class"] = int(table["rank"].isna().sum())
    notes["capped_ranks"] = [k for k in config.ranks if k > smallest]
    tables = {FILE: table} | ({NEIGHBOURS: pd.concat(examples, ignore_index=True)} if examples else {})
    return {
        "metrics": metrics_from(table, config.ranks, smallest),
        "artifacts": [write_table(run.folder, name, found) for name, found in tables.items()],
        "notes": notes,
    }


def _of_splits(features: Features, train: Tensor, queries: dict[str, Tensor]) -> Iterator[Asked]:
    gallery = embed(features(train))
    for split, rows in queries.items():
        yield split, rows, embed(features(rows)), train, gallery


def _of_folds(features: Features, folds: list[Tensor]) -> Iterator[Asked]:
    rows = torch.cat(folds)
    found = features(rows)
    for held in folds:
        chosen = torch.isin(rows, held)
        yield "test", rows[chosen], embed(found[chosen]), rows[~chosen], embed(found[~chosen])
