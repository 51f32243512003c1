"""Single rows of a study, by name."""

from __future__ import annotations

import pytest

from fame.errors import FameError
from studies.paper.registry import FINDINGS, STUDIES, row_name, studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SMOKE


def test_names_of_rows_are_unique_and_find_their_row() -> None:
    for study in (*STUDIES, *FINDINGS):
        names = [row_name(study, row) for row in study.rows]
        assert len(set(names)) == len(names)
        for name, row in zip(names, study.rows, strict=True):
            (found,) = studies([name])
            assert row in found.rows and found.measures == study.measures
            assert studies([row_name(found, row) for row in found.rows]) == (found,)


def test_a_row_stands_for_its_columns_and_a_study_for_its_rows() -> None:
    (both,) = studies(["area_ratio/0.5"])
    assert [(row.label, row.column) for row in both.rows] == [("0.5", "single"), ("0.5", "both")]
    assert studies(["area_ratio/0.5", "area_ratio"]) == studies(["area_ratio"])
    assert studies(["area_ratio/0.5", "claims"]) == studies(["claims"])
    two = studies(["retrieval/FAME/source", "area_ratio/0.3/both", "area_ratio/0.7/single"])
    assert [[row_name(study, row) for row in study.rows] for study in two] == [
        ["area_ratio/0.7/single", "area_ratio/0.3/both"],
        ["retrieval/FAME", "retrieval/FAME/source"][1:],
    ]


@pytest.mark.parametrize("name", ["area_ratio/0.4", "area_ratio/0.5/triple", "area_ratio/"])
def test_an_unknown_row_is_one_line_with_the_known_ones(name: str) -> None:
    with pytest.raises(FameError, match=r"unknown row .*the rows are area_ratio/1.0 \(baseline\); area_ratio/0.7/single"):
        studies([name])


def test_a_row_s_runs_are_its_own_chain() -> None:
    setting = Setting(SMOKE)
    one = set(all_stages(setting, studies(["area_ratio/0.5/single"])))
    assert one < set(all_stages(setting, studies(["area_ratio"]))) and len(one) == 4  # pretrain, two finetunings, probe
