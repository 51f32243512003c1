"""Two reports side by side: what is identical, what moved by more than noise, and what else is not the same."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fame.errors import FameError
from reports.against import compared, kept, summary
from reports.content import content
from reports.page import build
from reports.statistics import Estimate, apart, t_interval, t_p, welch
from reports.writing import finite
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, SMOKE, Scale
from tests.filled import recorded, result, seen

AREA = STUDIES[0]
MOVED = ("0.5", "both")
GAINS = {r: 10.0 + gain for r, gain in enumerate((0.3, -0.2, 0.4, 0.1))}


def filled(out: Path, *, scale: Scale = SMOKE, moved: dict[int, float] | None = None, world: str = "w", many: int = 4) -> Store:
    """Runs of the area ratio's table; MOVED lies higher by `moved` of a replicate."""
    store, setting = Store(out).prepare(), Setting(scale)
    for replicate in range(many):
        for row, measure, stage in setting.cells(AREA):
            assert stage is not None
            level = 50.0 + np.random.default_rng([replicate, len(row.label), len(row.column)]).normal()
            level += (moved or {}).get(replicate, 0.0) if (row.label, row.column) == MOVED else 0.0
            if not store.finished(stage.id, replicate):
                same = [one.metric for one in AREA.measures if (one.protocol, one.target) == (measure.protocol, measure.target)]
                facts = result(stage, replicate, dict.fromkeys(same, level), store.begin(stage, replicate))
                store.finish(stage, replicate, facts | {"data": {"A": f"{world}{replicate}"}})
    recorded(setting, (AREA,), range(many)).write(out)
    return store


def report_of(store: Store, scale: Scale = SMOKE, many: int = 4) -> dict[str, Any]:
    evidence = seen(store, Setting(scale), range(many), (AREA,))
    return finite(content(evidence, "", None)) | {"file": str(store.out)}


def line_of(found: dict[str, Any], of: str, label: str = "B finetuned") -> dict[str, Any]:
    return next(one for one in found["numbers"] if (one["row"], one["column"], one["of"], one["label"]) == (*MOVED, of, label))


def test_equal_stages_are_the_same_computation(tmp_path: Path) -> None:
    first = report_of(filled(tmp_path / "a"))
    again = compared(report_of(filled(tmp_path / "b")), first)
    assert set(again["states"]) == {"identical"} and len(again["numbers"]) == len(AREA.measures) * (2 * len(AREA.rows) - 1)
    assert not again["settings"] and not again["verdicts"] and again["only"] == [0, 0]
    other = compared(report_of(filled(tmp_path / "c", moved={1: 0.25})), first)
    assert other["states"]["differs"] == 2 * len(AREA.measures)
    assert (line_of(other, "level")["effect"], line_of(other, "gain")["effect"]) == pytest.approx((0.25, 0.25))
    assert {one["how"] for one in other["numbers"]} == {"same runs"} and not any(one["p"] for one in other["numbers"])


def test_other_runs_on_the_same_videos_are_paired_and_adjusted_together(tmp_path: Path) -> None:
    found = compared(report_of(filled(tmp_path / "a", moved=GAINS)), report_of(filled(tmp_path / "b", scale=QUICK), QUICK))
    line = line_of(found, "level")
    assert (line["how"], line["n"], line["state"]) == ("paired", 4, "above")
    assert line["effect"] == pytest.approx(10.15) and line["interval"] == pytest.approx(t_interval(list(GAINS.values())))
    p = t_p(list(GAINS.values())) or 1
    many = len(found["numbers"])
    assert line["p"] == pytest.approx(p, rel=1e-6) and line["p_adjusted"] == pytest.approx(p * many, rel=1e-6)
    assert found["states"] == {"above": 2 * len(AREA.measures), "negligible": many - 2 * len(AREA.measures)}
    assert "scale" in {one["name"] for one in found["settings"]}


def test_other_videos_are_compared_unpaired(tmp_path: Path) -> None:
    here, there = filled(tmp_path / "a", moved=GAINS), filled(tmp_path / "b", scale=QUICK, world="v", many=5)
    reports = report_of(here), report_of(there, QUICK, 5)
    found = compared(*reports)
    line = line_of(found, "level")
    values = [
        next(one["values"] for one in report["tables"]["area_ratio"] if (one["row"], one["column"]) == MOVED) for report in reports
    ]
    asked = stats.ttest_ind(*(list(one.values()) for one in values), equal_var=False)
    assert (line["how"], line["n"]) == ("unpaired", 4) and line["p"] == pytest.approx(asked.pvalue)
    assert {"videos of A", "replicates"} <= {one["name"] for one in found["settings"]}


def test_under_three_replicates_nothing_is_judged(tmp_path: Path) -> None:
    here, there = filled(tmp_path / "a", many=2), filled(tmp_path / "b", scale=QUICK, many=2)
    assert compared(report_of(here, SMOKE, 2), report_of(there, QUICK, 2))["states"].keys() == {"withheld"}
    equal = filled(tmp_path / "c", moved=dict.fromkeys(range(4), 2.5))  # in each replicate: no spread to judge by
    found = compared(report_of(equal), report_of(filled(tmp_path / "d", scale=QUICK), QUICK))
    assert line_of(found, "level")["state"] == "withheld"


def test_welch_is_scipys() -> None:
    here, there = [5.1, 4.9, 5.6, 5.8, 6.0], [3.2, 4.8, 2.9]
    (found, p), asked = welch(here, there), stats.ttest_ind(here, there, equal_var=False)
    assert p == pytest.approx(asked.pvalue) and found.interval == pytest.approx(tuple(asked.confidence_interval()))
    assert welch([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])[1] == 0 and welch([1.0] * 3, [1.0] * 3)[1] == 1


def test_under_three_replicates_intervals_over_videos_are_combined() -> None:
    """Newcombe (1998), table II (a), method 10: 56/70 - 48/80, from Wilson's intervals of each."""
    intervals = (stats.binomtest(k, n).proportion_ci(method="wilson") for k, n in ((56, 70), (48, 80)))
    sides = [Estimate(mean, (ci.low, ci.high), 1, "videos") for mean, ci in zip((0.8, 0.6), intervals, strict=True)]
    found = apart(*sides)
    assert (found.mean, found.interval) == (pytest.approx(0.2), pytest.approx((0.0524, 0.3339), abs=1e-4))
    assert apart(sides[0], Estimate(0.5, (0.4, 0.6), 3, "replicates")).interval is None


def test_the_page_the_csv_and_the_terminal_tell_it(tmp_path: Path) -> None:
    there = filled(tmp_path / "there", scale=QUICK)
    store = filled(tmp_path / "here", moved=GAINS)
    page = build(store, other=kept(build(there).parent))
    table = pd.read_csv(page.parent / "tables" / "against.csv", dtype={"row": str})
    found = json.loads(page.with_name("report.json").read_text(encoding="utf-8"))["against"]
    assert len(table) == len(found["numbers"]) and table["state"].value_counts().to_dict() == found["states"]
    html = page.read_text(encoding="utf-8")
    assert 'id="against"' in html and "+10.2 [" in html
    first, *lines = summary(page)
    assert "10 above, 55 negligible" in first and "scale: smoke, there quick" in lines
    assert "area_ratio/0.5/both, B finetuned, level: 59.4, there 49.2: +10.2 [+9.7, +10.6], p < 0.001: above" in lines
    assert "against" not in [path.stem for path in build(store).parent.glob("tables/*")]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"tables": {}}'])
def test_what_is_no_report_is_one_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(FameError, match=r"no report there|not a report of this version") as error:
        kept(tmp_path)
    assert "\n" not in str(error.value)


def test_nothing_in_common_is_one_line(tmp_path: Path) -> None:
    report = report_of(filled(tmp_path, many=1), SMOKE, 1)
    with pytest.raises(FameError, match="no number in common"):
        compared(report, report | {"tables": {"rows": []}})
