"""Does the embedded benchmark predict real video? `python -m benchmarks.validity REAL_OUT STAGED_OUT`.

Compares how methods that were pretrained in both folders are ordered by a linear probe: on real targets, and on
staged worlds by three measures. Agreement is Kendall's tau-b: 1 for the same order, -1 for the reversed one. Its 95 %
interval resamples the replicates that all methods share (seeds, and staged worlds with them) on either side, and the
targets where there are several. A single replicate or target is taken as it is, so that its chance is not in the
interval. Settled beforehand: interactions confirms, and only fights and skateboard may serve to choose a world
(version 4 was chosen without any).
"""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fame.errors import FameError
from reports.evidence import Evidence, Values
from reports.statistics import Estimate, agreement, estimate
from reports.texts import interval, number
from studies.harness.store import Store
from studies.paper.headline import MEASURES
from studies.records import read
from studies.setting.fields import method_of
from studies.setting.resolve import TARGETS
from studies.study import UNCHANGED, Method, fame, moco

STAGED = {"deranged scenes": "deranged", "balanced head": "balanced", "own scenes": "own"}  # by the headline's measures
ENOUGH = 10  # methods that a statement takes
Numbers = NDArray[np.float64]
Found = dict[Method, dict[str, Values]]  # a value a replicate, by method and column: a target or a staged measure


def measured(out: Path, targets: list[str] | None = None) -> Found:
    """Read what a linear probe found of every pretrained method: on real `targets` (empty: all), or where None on staged part A.

    FameError where the folder is of the other kind, or lacks a target.
    """
    evidence = Evidence(Store(out), read(out))
    own = evidence.about["dataset"] == TARGETS
    if own != (targets is not None):
        raise FameError(f"{out}: {'' if own else 'not '}a study of own targets; name REAL_OUT, then STAGED_OUT")
    known = [one["part"] for one in evidence.about["sets"] if one["part"] != "source"]
    if targets is not None and (unknown := set(targets) - set(known)):
        raise FameError(f"{out}: no target {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    columns = {name: ("A", MEASURES[key].metric) for name, key in STAGED.items()}
    if own:
        columns = {name: (name, "top1") for name in targets or known}
    found: Found = {}
    for text in dict.fromkeys(cell.method for cell in evidence.records.cells if cell.evaluation == "probe"):
        with suppress(FameError):  # of what is no method with a network of its own, or a plugin's
            method = method_of(text)
            if method.kind == "random" or method.on != "A" or method.changes != UNCHANGED:
                continue
            values = {
                name: evidence.values(evidence.records.runs(text, "probe", target), metric)
                for name, (target, metric) in columns.items()
            }
            if all(values.values()):
                found.setdefault(method, values)
    return found


def stacked(found: Found, methods: list[Method]) -> Numbers:
    """Return float (methods, columns, replicates) of the replicates that all of them have. FameError where there is none."""
    shared = set.intersection(*(set(values) for method in methods for values in found[method].values()))
    if not shared:
        raise FameError("these methods have no replicate in common: " + ", ".join(method.text for method in methods))
    return np.array([[[values[r] for r in sorted(shared)] for values in found[method].values()] for method in methods])


def gain(found: Found, columns: list[str]) -> Estimate:
    """Estimate FAME minus baseline of the mean over columns, over the replicates that both have in all of them."""
    sides = [found[method] for method in (fame(), moco())]
    shared = set.intersection(*(set(side[name]) for side in sides for name in columns))
    means = [[float(np.mean([side[name][r] for name in columns])) for r in sorted(shared)] for side in sides]
    return estimate([high - low for high, low in zip(*means, strict=True)])


def told(found: Estimate) -> str:
    return f"{number(found.mean, 1, True)} {interval(found.interval, 1, True)}, n = {found.n}"


def main(words: list[str] | None = None) -> None:
    """Print Markdown: levels of the methods, tau for each real target and their mean, and FAME minus baseline on both sides."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.validity", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("real", type=Path, metavar="REAL_OUT", help="of a study with --dataset targets")
    parser.add_argument("staged", type=Path, metavar="STAGED_OUT", help="of a study on the embedded benchmark")
    parser.add_argument("--target", action="append", default=[], help="this real target only; repeatable (default: all)")
    asked = parser.parse_args(words)
    real, staged = measured(asked.real, asked.target), measured(asked.staged)
    methods = [method for method in real if method in staged]
    if not {fame(), moco()} <= set(methods):
        raise FameError(f"{asked.real} and {asked.staged}: FAME and its baseline have not both been run in each of them")
    here, there = stacked(real, methods), stacked(staged, methods)
    targets = list(real[moco()])
    print(f"| {' | '.join(['linear probe, %', *targets, *STAGED])} |", "| --- " * (1 + len(targets) + len(STAGED)) + "|", sep="\n")
    for method, levels in zip(methods, np.concatenate([here.mean(axis=2), there.mean(axis=2)], axis=1), strict=True):
        print(f"| {method.text} | {' | '.join(number(level, 1) for level in levels)} |")
    print(f"\n| Kendall's tau-b, {len(methods)} methods | {' | '.join(STAGED)} |", "| --- " * (1 + len(STAGED)) + "|", sep="\n")
    rows = {name: [at] for at, name in enumerate(targets)}
    rows = {f"mean of {len(targets)} targets": list(range(len(targets)))} | rows if len(targets) > 1 else rows
    for name, columns in rows.items():
        taus = (agreement(here[:, columns], there[:, at]) for at in range(len(STAGED)))
        cells = (f"{number(tau, 2, True)} {interval(bounds, 2, True)}" for tau, bounds in taus)
        print(f"| {name} | {' | '.join(cells)} |")
    print(f"\nReplicates that all methods share: {here.shape[2]} on real video, {there.shape[2]} on staged worlds.")
    print(f"FAME minus baseline, points: real, mean of {', '.join(targets)}: {told(gain(real, targets))}; staged, ", end="")
    print("; ".join(f"{name}: {told(gain(staged, [name]))}" for name in STAGED))
    if len(methods) < ENOUGH:
        print(f"No statement on what the benchmark predicts: {len(methods)} methods are in both, {ENOUGH} are needed.")


if __name__ == "__main__":
    try:
        main()
    except FameError as error:
        sys.exit(f"error: {error}")
