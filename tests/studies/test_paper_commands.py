"""Single rows of a study, and docs/paper-scale.md, which says the command of each."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fame.errors import FameError
from reports.content import command_of
from reports.evidence import Evidence
from studies.cli import paper_commands
from studies.harness.store import Store
from studies.paper.published import published
from studies.paper.registry import FINDINGS, STUDIES, named, row_name, studies
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SMOKE

DOC = Path(__file__).parents[2] / "docs" / "paper-scale.md"


def test_names_of_rows_are_unique_and_find_their_row() -> None:
    for study in (*STUDIES, *FINDINGS):
        names = [row_name(study, row) for row in study.rows]
        assert len(set(names)) == len(names)
        assert named(study) == [study.name]
        for name, row in zip(names, study.rows, strict=True):
            (found,) = studies([name])
            assert row in found.rows and found.measures == study.measures
            assert studies(named(found)) == (found,)  # what setting.json keeps


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


def test_the_report_s_command_names_the_rows(tmp_path: Path) -> None:
    chosen = studies(["area_ratio/1.0 (baseline)", "area_ratio/0.5/single"])
    evidence = Evidence(Store(tmp_path), Setting(SMOKE), (0,))
    told = shlex.split(command_of(evidence, chosen, {}))
    assert [told[at + 1] for at, word in enumerate(told) if word == "--only"] == [
        "area_ratio/1.0 (baseline)",
        "area_ratio/0.5/single",
    ]


def test_the_document_is_what_the_studies_say() -> None:
    mend = "python -m studies.cli.paper_commands docs/paper-scale.md"
    assert DOC.read_text(encoding="utf-8") == paper_commands.page(), f"write it again: {mend}"


def test_every_row_has_a_command_that_the_program_takes_and_the_paper_s_number() -> None:
    text = DOC.read_text(encoding="utf-8")
    commands = [shlex.split(found) for found in re.findall(r"`(reproduce-paper --scale paper [^`]*--only [^`]*)`", text)]
    asked = [words[-1] for words in commands]
    assert set(asked) == {row_name(study, row) for study in STUDIES for row in study.rows}
    for words in commands:
        assert studies([words[-1]]) and words[-2] == "--only"
    for study in STUDIES:
        for row in study.rows:
            lines = [line for line in text.splitlines() if shlex.quote(row_name(study, row)) + "`" in line]
            for measure in study.measures:
                paper = published(study.name, row.label, row.column, measure.published)
                assert paper is None or any(f"| {paper.value:g} |" in line for line in lines), (study.name, row, measure)
