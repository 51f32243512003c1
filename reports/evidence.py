"""Read a number from the store: a value a replicate, and the values of single performances, which are resampled over videos.

Percent and points as in the metrics; shares and AUROCs in 0..1. A ratio is averaged and compared as its natural logarithm, on which
twice as much and half as much lie equally far from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from fame.seeds import SELECTION_REPLICATES
from reports.statistics import ENOUGH, Estimate, estimate
from studies.harness.store import Store
from studies.records import Records, Runs
from studies.study import Measure, Method

Values = dict[int, float]
Side = tuple[Runs | None, str]  # runs and a metric of theirs
RATIOS = ("exchange_ratio", "ratio")  # metrics, up to a slash, that are ratios


@dataclass(frozen=True)
class Gain:
    """By how much one side is above another, as one side of a comparison: of each replicate and performance that has both."""

    of: Side | Gain
    over: Side | Gain


def is_ratio(metric: str) -> bool:
    """Return whether a metric is averaged and compared as its logarithm."""
    return metric.split("/")[0] in RATIOS


def performances(frame: pd.DataFrame, values: pd.Series) -> pd.Series:
    """Mean of `values` per performance; a video without a performance stands for itself."""
    names = frame["performance"].fillna("").astype(str)
    return values.astype(float).groupby(names.where(names.ne(""), frame["video"].astype(str))).mean().dropna()


def from_predictions(frame: pd.DataFrame, metric: str) -> pd.Series | None:
    """Per performance what `metric` averages: 0 or 100 for an accuracy, -100..100 for the gap; None for an unknown metric."""
    head, name = ("balanced", metric.removeprefix("balanced/")) if metric.startswith("balanced/") else ("biased", metric)
    lines = frame[frame["head"] == head]
    right = 100.0 * (lines["predicted"] == lines["label"])
    if name == "background_gap":
        own, deranged = (performances(lines[lines["condition"] == c], right[lines["condition"] == c]) for c in ("own", "deranged"))
        return (own - deranged).dropna()
    if name == "scene_following":
        asked = (
            (lines["condition"] == "deranged")
            & lines["scene_action"].notna()
            & (lines["scene_action"] != lines["label"]).fillna(False)
        )
        follows = 100.0 * (lines["predicted"] == lines["scene_action"]).fillna(False)
        return performances(lines[asked], follows[asked])
    condition = {"top1": "own", "val/top1": "val"}.get(name, name.removeprefix("top1/"))
    if name != "val/top1" and name.split("/")[0] != "top1":
        return None
    asked = lines["condition"] == condition
    return performances(lines[asked], right[asked])


def from_ranks(frame: pd.DataFrame, metric: str) -> pd.Series:
    """Per query 100 where its first right neighbour is among the k nearest, else 0, for `R@k` or `R@k/CONDITION`."""
    rank, _, condition = metric.removeprefix("R@").partition("/")
    lines = frame[frame["condition"] == (condition or "own")]
    return performances(lines, 100.0 * (lines["rank"] <= int(rank)).fillna(False).astype(float))


def from_activation(frame: pd.DataFrame, metric: str) -> pd.Series | None:
    """Per video its AUROC or exchange ratio."""
    return performances(frame, frame[metric]) if metric in frame else None


def from_masks(frame: pd.DataFrame, metric: str) -> pd.Series | None:
    """Per clip the measure of one kind of mask, for VARIANT/BETA/FLAVOUR/MEASURE."""
    variant, beta, flavour, measure = metric.split("/")
    lines = frame[(frame["variant"] == variant) & np.isclose(frame["beta"], float(beta)) & (frame["flavour"] == flavour)]
    return lines.set_index("video")[measure].astype(float).dropna() if measure in frame else None


READERS: dict[str, tuple[str, Callable[[pd.DataFrame, str], pd.Series | None]]] = {  # kind of run: its file, and who reads it
    "finetune": ("predictions.csv", from_predictions),
    "probe": ("predictions.csv", from_predictions),
    "retrieval": ("retrieval.csv", from_ranks),
    "activation": ("activation.csv", from_activation),
    "masks": ("mask_quality.csv", from_masks),
}


class Evidence:
    """The results in a store, seen through the records of a study. Files are read once."""

    def __init__(self, store: Store, records: Records) -> None:
        self.store, self.records, self.about = store, records, records.about
        self.replicates: tuple[int, ...] = tuple(self.about["replicates"])
        self._results: dict[tuple[str, int], dict[str, Any] | None] = {}
        self._frames: dict[tuple[str, int, str], pd.DataFrame | None] = {}
        self._samples: dict[tuple[str, int, str], pd.Series | None] = {}

    def runs(self, method: Method | None, measure: Measure) -> Runs | None:
        """The runs behind one side of a comparison; None where the dataset lacks a part of it."""
        return self.records.find(method, measure)

    def result(self, stage: str, replicate: int) -> dict[str, Any] | None:
        key = (stage, replicate)
        if key not in self._results:
            self._results[key] = self.store.result(*key)
        return self._results[key]

    @property
    def shared(self) -> int:
        """Return how many replicates all studies have; the headline can have more."""
        return min(len(study["replicates"]) for study in self.about["studies"])

    @property
    def awaited(self) -> int:
        """Replicates a verdict waits for: those asked for, and at least as many as the scale fixed beforehand."""
        return max(self.shared, self.about["awaited"])

    def planned(self, runs: Runs | None) -> int:
        """Return of how many replicates the runs are planned; 0 where none of their tables is among the studies."""
        listed = (self.records.listed.get(stage) for stage in (runs.ids if runs else ()))
        return max((len(one.replicates) for one in listed if one), default=0)

    @property
    def deciding(self) -> int:
        """Replicates that the headline waits for."""
        return max(len(self.replicates), self.about["decided_by"])

    def values(self, runs: Runs | None, metric: str, replicates: Sequence[int] | None = None) -> Values:
        """The metric of every finished replicate that has it: the mean over folds, where all of them have."""
        found: Values = {}
        for replicate in self.replicates if replicates is None else replicates:
            of_folds = [self._value(stage, metric, replicate) for stage in (runs.ids if runs else ())]
            known = [value for value in of_folds if value is not None]
            if known and len(known) == len(of_folds):
                found[replicate] = sum(known) / len(known)
        return found

    def _value(self, stage: str, metric: str, replicate: int) -> float | None:
        value = (self.result(stage, replicate) or {}).get("metrics", {}).get(metric)
        return float(value) if value is not None and math.isfinite(value) else None

    def sample(self, runs: Runs | None, metric: str, replicate: int) -> pd.Series | None:
        """The metric's value for each performance of one run, of all folds together; None where a run keeps no such record."""
        of_folds = [self._of_run(runs.kind, stage, metric, replicate) for stage in runs.ids] if runs and runs.kind else []
        known = [sample for sample in of_folds if sample is not None]
        if not known or len(known) < len(of_folds):
            return None
        if len(known) == 1:
            return known[0]
        return pd.concat([sample.rename(index=f"{{}} fold {fold}".format) for fold, sample in enumerate(known)])

    def _of_run(self, kind: str, stage: str, metric: str, replicate: int) -> pd.Series | None:
        key = (stage, replicate, metric)
        if key not in self._samples and kind in READERS:
            name, read = READERS[kind]
            file = (stage, replicate, name)
            if file not in self._frames:
                self._frames[file] = self.store.table(*file)
            frame = self._frames[file]
            series = None if frame is None else read(frame, metric)
            self._samples[key] = series if series is not None and len(series) else None
        return self._samples.get(key)

    def estimate(self, runs: Runs | None, metric: str) -> Estimate:
        """The metric's mean over replicates with its interval; of a ratio the geometric mean."""
        values = self._compared(runs, metric)
        found = self._estimate((runs, metric), values, lambda replicate: self._sampled(runs, metric, replicate))
        if found.mean is None or not is_ratio(metric):
            return found
        interval = found.interval and (math.exp(found.interval[0]), math.exp(found.interval[1]))
        return replace(found, mean=math.exp(found.mean), interval=interval)

    def _compared(self, runs: Runs | None, metric: str, replicates: Sequence[int] | None = None) -> Values:
        """`values`, but of a ratio the logarithms."""
        values = self.values(runs, metric, replicates)
        return {number: math.log(value) for number, value in values.items() if value > 0} if is_ratio(metric) else values

    def _sampled(self, runs: Runs | None, metric: str, replicate: int) -> pd.Series | None:
        """`sample`, but of a ratio linear parts (y - m) / m of the logarithm of the mean m, around that logarithm."""
        sample = self.sample(runs, metric, replicate)
        return sample if sample is None or not is_ratio(metric) else math.log(sample.mean()) + sample / sample.mean() - 1

    def differences(self, greater: Side | Gain, lesser: Side | Gain, replicates: Sequence[int] | None = None) -> Values:
        """greater - lesser of every replicate in which both have run; where a side is a gain, both of its sides."""
        high, low = (
            self.differences(side.of, side.over, replicates) if isinstance(side, Gain) else self._compared(*side, replicates)
            for side in (greater, lesser)
        )
        return {replicate: high[replicate] - low[replicate] for replicate in high if replicate in low}

    def difference(self, greater: Side | Gain, lesser: Side | Gain) -> Estimate:
        """Estimate the mean paired difference: by replicate from three of them on, by performance (the same name) below."""
        paired = self.differences(greater, lesser)
        return self._estimate(greater, paired, lambda replicate: self._paired(greater, lesser, replicate))

    def _estimate(self, tested: Side | Gain, values: Values, sample: Callable[[int], pd.Series | None]) -> Estimate:
        """Estimate from a value a replicate; where these are enough only the first sample is read, for its size."""
        while isinstance(tested, Gain):
            tested = tested.of
        runs, _ = tested
        known = (drawn.to_numpy() for replicate in values if (drawn := sample(replicate)) is not None)
        found = estimate(list(values.values()), list(islice(known, 1) if len(values) >= ENOUGH else known))
        return replace(found, cell=runs.id if runs else None)

    def _paired(self, greater: Side | Gain, lesser: Side | Gain, replicate: int) -> pd.Series | None:
        """greater - lesser for each performance that both know; None where there is none."""
        high, low = (
            self._paired(side.of, side.over, replicate) if isinstance(side, Gain) else self._sampled(*side, replicate)
            for side in (greater, lesser)
        )
        both = None if high is None or low is None else (high - low).dropna()
        return both if both is not None and len(both) else None

    @cached_property
    def selection(self) -> tuple[int, ...]:
        """Replicates in the store that tuning may look at (fame/seeds.py)."""
        return tuple(sorted({replicate for _, replicate in self.store.all() if replicate >= SELECTION_REPLICATES}))
