"""What the README says of a run is what that run wrote."""

import contextlib
import json
import re
from pathlib import Path

import pytest

from fame.errors import FameError
from reports.keep import ANSWERS, LEDGER, NOT_RUN, RUN, answering, claims, excerpt, keep, main, quote, quoted, quoting
from reports.page import build
from studies.paper.registry import FINDINGS, STUDIES
from tests.filled import QUICK, fill

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "quick"


def test_readme_quotes_the_kept_results():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    document = (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    with contextlib.chdir(ROOT):
        assert readme == quoting(readme, Path("docs/results"))
        assert document == answering(document, Path("docs/results"))
    assert quoted(readme) and quoted(readme, LEDGER)


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
    begin, end = RUN
    readme = f"# x\n{begin}\nold\n{end}\nrest\n"
    assert quote(readme, "new") == f"# x\n{begin}\nnew\n{end}\nrest\n"
    with pytest.raises(FameError, match="markers"):
        quote("# x\n", "new")


def test_keep_needs_a_report(tmp_path):
    with pytest.raises(FameError, match="holds no report"):
        keep(tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_the_claims_scale_is_quoted_where_it_is_kept(tmp_path, monkeypatch):
    """Interim with two of three replicates: said above the verdicts, of which none is decided. Packed replicates stay."""
    monkeypatch.chdir(tmp_path)
    store, setting = fill(tmp_path / "out", scale=QUICK, replicates=2, performances=8)
    build(store, setting, STUDIES, 3, tmp_path / "out", commit="0123abcdef")
    readme = Path("README.md")
    readme.write_text("\n".join(["# x", *RUN, "between", *LEDGER, "rest", ""]), encoding="utf-8")
    folder = Path("docs/results/mini")
    packed = folder / "parts" / "replicate-0001.tar.xz"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(b"part")
    assert quoted(quoting(readme.read_text(encoding="utf-8"), folder.parent), LEDGER) == NOT_RUN
    Path("docs/findings.md").write_text("\n".join(["# y", *ANSWERS, "more", ""]), encoding="utf-8")
    assert main(["out", folder.as_posix()]) == 0
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["seconds"] == report["runs"]["seconds"] > 0 and report["machine"][0]["processor"] == "a processor"
    assert {"command", "commit"} <= set(report) and packed.read_bytes() == b"part"
    text = readme.read_text(encoding="utf-8")
    assert quoted(text) == excerpt(report, "docs/results/mini") and quoted(text, LEDGER) == claims(report, "docs/results/mini")
    assert "**Interim: 2 of 3 replicates. Until all are there" in text and "between" in text and text.endswith("rest\n")
    trained = [claim for claim in report["claims"] if claim["id"] in ("C1", "C2", "C3", "C9")]
    assert {claim["verdict"] for claim in trained} == {link["verdict"] for claim in trained for link in claim["links"]}
    assert {claim["verdict"] for claim in trained} == {"inconclusive"}
    assert all(claim["reason"] == "interim: 2 of 3 replicates; all are needed" for claim in trained)
    line = next(line for line in text.splitlines() if line.startswith("| C1 | ") and "| mechanism |" in line)
    assert "| **inconclusive** |" in line and re.search(r"\| [+-][\d.]+ \[[+-][\d.]+, [+-][\d.]+\] \| 2 \|$", line)
    report["claims"][0]["verdict"] = "reproduced"
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    assert quoting(text, folder.parent) != text, "another verdict would be noticed"


def test_lost_markers_are_told_before_anything_is_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["out", "docs/results/mini"]) == 2
    assert capsys.readouterr().err == "error: README.md: No such file or directory; call it from the project's folder\n"
    Path("README.md").write_text("# x\n", encoding="utf-8")
    assert main(["out", "docs/results/mini"]) == 2
    assert "README.md has lost the markers" in capsys.readouterr().err
    assert not Path("docs").exists()


SOME = tuple(study for study in FINDINGS if study.name in ("schedules", "true_mask"))


def test_a_findings_run_is_quoted_in_its_own_document(tmp_path, monkeypatch):
    """docs/findings.md takes its section; the README, which quotes the claims' scale, stays as it is."""
    monkeypatch.chdir(tmp_path)
    store, setting = fill(tmp_path / "out", scale=QUICK, studies=SOME, replicates=3, performances=8)
    build(store, setting, SOME, 3, tmp_path / "out", commit="0123abcdef")
    readme, document = Path("README.md"), Path("docs/findings.md")
    document.parent.mkdir()
    readme.write_text(before := "\n".join(["# x", *RUN, *LEDGER, ""]), encoding="utf-8")
    document.write_text("# y\n", encoding="utf-8")
    assert main(["out", "docs/results/findings"]) == 2 and not Path("docs/results").exists(), "without markers nothing is replaced"
    document.write_text("\n".join(["# y", *ANSWERS, "more", ""]), encoding="utf-8")
    assert main(["out", "docs/results/findings"]) == 0
    assert readme.read_text(encoding="utf-8") == before.replace(LEDGER[0] + "\n", f"{LEDGER[0]}\n{NOT_RUN}\n")
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# y") and text.endswith("more\n") and text == answering(text, Path("docs/results"))
    assert "From `reproduce-paper --scale quick --dataset staged --replicates 3 --only schedules --only true_mask`" in text
    assert all(f"(`{study.name}`)" in text for study in SOME)
    for link in re.findall(r"\]\((results/[^)]+png)\)", text):
        assert (document.parent / link).stat().st_size > 1000
    data = Path("docs/results/findings/report.json")
    report = json.loads(data.read_text(encoding="utf-8"))
    report["answers"]["schedules"]["contrasts"][0]["effect"] += 1
    data.write_text(json.dumps(report), encoding="utf-8")
    assert answering(text, Path("docs/results")) != text, "another number would be noticed"
