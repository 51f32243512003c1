"""What the README says of a run is what that run wrote."""

import json
from pathlib import Path

import pytest

from fame.errors import FameError
from reports.keep import excerpt, keep, quote, quoted

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "quick"


def test_readme_quotes_the_kept_results():
    report = json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))
    assert quoted((ROOT / "README.md").read_text(encoding="utf-8")) == excerpt(report, "docs/results/quick")


def test_another_number_would_be_noticed():
    report = json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))
    before = excerpt(report, "docs/results/quick")
    report["tables"]["area_ratio"][0]["mean"] += 1
    assert excerpt(report, "docs/results/quick") != before


def test_kept_figures_are_all_there():
    report = json.loads((RESULTS / "report.json").read_text(encoding="utf-8"))
    assert report["figures"]
    assert "typed" not in report  # it would hold paths of the machine that ran it
    for figure in report["figures"]:
        assert (RESULTS / figure["png"]).stat().st_size > 1000
        assert (RESULTS / figure["csv"]).exists()


def test_quote_replaces_only_between_the_markers():
    from reports.keep import BEGIN, END

    readme = f"# x\n{BEGIN}\nold\n{END}\nrest\n"
    assert quote(readme, "new") == f"# x\n{BEGIN}\nnew\n{END}\nrest\n"
    with pytest.raises(FameError, match="markers"):
        quote("# x\n", "new")


def test_keep_needs_a_report(tmp_path):
    with pytest.raises(FameError, match="holds no report"):
        keep(tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
