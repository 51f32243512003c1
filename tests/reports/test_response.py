"""The search in the report."""

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from reports.response import conclusion, section
from studies.paper.tables import TEMPORAL_KERNELS
from tests.filled import fill, reported

TRIAL: dict[str, Any] = {"state": "complete", "reused": False, "cell": "0123456789ab", "steps": {}}


def found(values: list[list[float]], confirmed: dict[str, Any] | None) -> dict[str, Any]:
    """Return a search.json with a trial for each list of values."""
    trials = [
        {
            **TRIAL,
            "trial": number,
            "params": {"merge.beta": 0.3 + 0.1 * number},
            "value": sum(one) / len(one),
            "standard_error": 2.0,
        }
        | {"values": one}
        for number, one in enumerate(values)
    ]
    facts = {"study": "beta", "storage": "journal.log", "scale": "smoke", "dataset": "staged", "objective": "val/balanced/top1"}
    facts |= {
        "says": "linear probe on validation videos",
        "fields": ["merge.beta"],
        "replicates": [1000, 1001, 1002][: len(values[0])],
    }
    return {**facts, "pruner": "none", "exhausted": False, "best": trials[0], "trials": trials, "confirmed": confirmed}


def kept(out: Path, value: dict[str, Any]) -> dict[str, Any]:
    (out / "search").mkdir(exist_ok=True)
    (out / "search" / "search.json").write_text(json.dumps(value))
    shown = section(out)
    assert shown
    return shown


def test_intervals_are_over_replicates_or_over_videos(tmp_path: Path) -> None:
    assert section(tmp_path) is None
    shown = kept(tmp_path, found([[50.0, 52.0, 57.0]], None))
    low, high = stats.t.interval(0.95, 2, 53.0, stats.sem([50, 52, 57]))
    assert shown["trials"][0]["interval"] == pytest.approx((low, high))
    shown = kept(tmp_path, found([[50.0]], None))
    assert shown["trials"][0]["interval"] == pytest.approx((46.08, 53.92)) and shown["difference"] is None


def test_only_fresh_replicates_tell_a_difference(tmp_path: Path) -> None:
    confirmed = {
        "params": {"merge.beta": 0.3},
        "replicates": [0, 1, 2],
        "winner": [50.0, 52.0, 57.0],
        "baseline": [49.0, 50.0, 54.0],
    }
    value = found([[70.0]], confirmed)
    shown = kept(tmp_path, value)["difference"]
    assert shown["mean"] == 2.0 and shown["interval"] == pytest.approx(stats.t.interval(0.95, 2, 2.0, stats.sem([1, 2, 3])))
    assert "merge.beta 0.3 - baseline on fresh replicates: +2.0 points [−0.5, +4.5], n = 3" in conclusion(value, tmp_path)
    assert "--confirm 3" in conclusion(value | {"confirmed": None}, tmp_path)[1]


def test_the_page_has_the_curve_and_all_trials(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, performances=4)
    without = reported(store, setting, (TEMPORAL_KERNELS,), 1).read_text(encoding="utf-8")
    kept(tmp_path, found([[50.0], [40.0], [45.0]], None))
    page = reported(store, setting, (TEMPORAL_KERNELS,), 1)
    html = page.read_text(encoding="utf-8")
    assert 'id="search"' in html and 'id="search"' not in without
    assert html.count("<code>0123456789ab</code>") == 3 and "no difference from the baseline is reported" in html
    assert (page.parent / "figures" / "search.csv").read_text().count("\n") == 4
    assert json.loads((page.parent / "report.json").read_text())["search"]["trials"][1]["value"] == 40.0
