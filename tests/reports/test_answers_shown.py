"""Answers as they are shown: in figures, lines, sections of a page, and the report of a finding."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from reports.answers import answers, contrasts
from reports.evidence import Evidence
from reports.figures import effects
from reports.findings import lines, said, section
from reports.page import build
from reports.tables import entries
from studies.findings import schedules, true_mask
from studies.paper import temporal_kernels
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.scales import QUICK
from tests.filled import fill
from tests.reports.test_answers import filled

# ---------------------------------------------------------------- in words and pictures


def test_figures_say_what_was_not_run(tmp_path: Path) -> None:
    gone = frozenset((true_mask.BLOB, "", replicate) for replicate in range(4))
    evidence = filled(tmp_path, true_mask.STUDY, lambda row: 40.0, leave_out=gone, start=38.0)
    figure = effects.draw(evidence, "true_mask", entries(evidence, true_mask.STUDY), tmp_path)
    assert figure and "Hollow points" in figure.caption and "gate failed at the scale's own setting (+2.0 points" in figure.caption
    sound = filled(tmp_path / "sound", true_mask.STUDY, lambda row: 40.0)
    whole = effects.draw(sound, "true_mask", entries(sound, true_mask.STUDY), tmp_path)
    assert whole and "Hollow points" not in whole.caption


def test_comparisons_as_lines_and_as_a_section(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, studies=FINDINGS[:1], scale=QUICK, replicates=3, performances=16)
    evidence = Evidence(store, setting, range(3))
    found = answers(evidence, FINDINGS[:1])
    measures, rows = lines(found["schedules"])
    assert measures == ["A deranged scenes, linear", "A deranged scenes, balanced head"] and len(rows) == 5
    assert all(said(one).endswith(one["state"]) for _, line in rows for one in line if one)
    report = {
        "answers": found,
        "command": "c",
        "commit": "0123456789abcdef",
        "runs": {"finished": 1, "planned": 2, "seconds": 60.0},
        "standing": {"interim": "interim: 2 of 3 replicates", "remarks": ["Few."]},
        "figures": [{"name": "schedules_curve", "title": "t", "png": "figures/schedules_curve.png", "caption": "c."}],
    }
    text = section({"results/findings": report})
    assert "### Does the baseline catch up? (`schedules`)" in text and "**Interim: 2 of 3 replicates.**" in text
    assert "![t](results/findings/figures/schedules_curve.png)" in text and text.count("\n| ") == 7  # head, rule, five contrasts
    found["schedules"]["contrasts"][0]["effect"] += 1
    assert section({"results/findings": report}) != text, "another number would be noticed"
    assert contrasts(evidence, FINDINGS[0], FINDINGS[0].question)[0].values.keys() == {0, 1, 2}  # type: ignore[arg-type]

    more = json.loads(json.dumps(report))
    for one in more["answers"]["schedules"]["contrasts"]:
        one["n"] = 8
    more["answers"]["true_mask"] = more["answers"]["schedules"] | {"question": "Which?"}
    both = section({"results/findings": report, "results/mini": more})
    assert both.count("(`schedules`)") == 1 and "From [results/mini](results/mini), 8 replicates." in both
    assert "(results/findings" not in both, "quoted from where most replicates are"
    more["answers"]["schedules"]["contrasts"][-1]["n"] = 0
    both = section({"results/findings": report, "results/mini": more})
    assert "From [results/findings](results/findings), 3 replicates." in both, "what is complete comes before what is not"
    assert "### Which? (`true_mask`)" in both and both.index("`schedules`") < both.index("`true_mask`")


def test_a_report_of_findings_shows_their_answers_and_no_other_claims(tmp_path: Path) -> None:
    """The page of one finding, and that of a single row of a paper's study, which keeps the ledger."""
    ran = (schedules.STUDY, STUDIES[0], temporal_kernels.STUDY)
    store, setting = fill(tmp_path, studies=ran, scale=QUICK, replicates=3, performances=8)
    html = build(store, setting, (schedules.STUDY,), 3, tmp_path).read_text(encoding="utf-8")
    words = unescape(re.sub(r"<[^>]+>", "", html))
    assert "Does the baseline catch up?" in words and "10 comparisons were looked at; after Holm" in words
    assert schedules.HALVED in words and "Gate at 4x epochs: " in words and 'id="C1"' not in html
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    found = told["answers"]["schedules"]
    drawn = {figure["name"] for figure in told["figures"]}
    assert drawn == {"schedules_curve", "training_curves"}, "none of a study that was not asked for"
    assert found["compared"] == 10 and all(one["text"] in words for one in found["answers"])
    reduced = replace(STUDIES[0], rows=STUDIES[0].rows[:1])
    assert 'id="C1"' in build(store, setting, (reduced, temporal_kernels.STUDY), 3, tmp_path).read_text(encoding="utf-8")
    told = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert "temporal_kernels_figure3" in {figure["name"] for figure in told["figures"]}
