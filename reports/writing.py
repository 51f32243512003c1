"""Tables, figures, report.json and the page, written to a folder. reports/page.py decides whether that is due."""

import base64
import json
import math
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fame.files import write_atomically
from reports import against, contrasts, response, tables, texts
from reports.content import content
from reports.evidence import Evidence
from reports.figures import Drawn, draw_all
from studies.harness.progress import Tell
from studies.harness.store import Store
from studies.paper.claims import CLAIMS
from studies.paper.headline import HEADLINE
from studies.paper.published import entries as published_entries
from studies.paper.published import noise
from studies.paper.registry import BEYOND
from studies.records import Records, earlier
from studies.study import PUBLISHED_NAMES

STEPS = 3  # numbers with their tables, figures, page
FEW = 1000  # real videos; with fewer a run is a test of the machinery


def write_report(
    store: Store,
    records: Records,
    folder: Path,
    data: Path,
    page: Path,
    commit: str,
    command: str | None,
    other: dict[str, Any] | None,
    tell: Tell,
) -> list[Path]:
    """Write the report's numbers to `data`, its page to `page`, tables and figures into `folder`; return all files written."""
    evidence = Evidence(store, records)
    tell("report", 0, STEPS)
    report = finite(content(evidence, commit, command))
    report["against"] = finite(against.compared(report, other)) if other else None
    studies = records.about["studies"]
    written = [
        path for study in studies for path in tables.write(evidence, study, report["tables"][study["name"]], folder / "tables")
    ]
    tell("report", 1, STEPS)
    figures = draw_all(evidence, report["tables"], folder / "figures")
    figures += filter(None, [response.draw(store.out, folder / "figures")])
    tell("report", 2, STEPS)
    written += [path for figure in figures for path in figure.files]
    report["figures"] = [
        {"name": figure.name, "title": figure.title, "caption": figure.caption}
        | {path.suffix[1:]: f"figures/{path.name}" for path in figure.files}
        for figure in figures
    ]  # fmt: skip
    if other:
        written.append(against.write(report["against"], folder / "tables"))
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    write_atomically(data, lambda beside: beside.write_text(text, encoding="utf-8"))
    html = render(evidence, report, figures)
    write_atomically(page, lambda beside: beside.write_text(html, encoding="utf-8"))
    tell("report", STEPS, STEPS)
    return [*written, data, page]


def finite(value: Any) -> Any:
    """The same value as JSON has it: None for what it has no number for, numbers to 12 significant digits, keys as text."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.12g}") if math.isfinite(value) else None
    return value


def render(evidence: Evidence, report: dict[str, Any], figures: list[Drawn]) -> str:
    """The page: one file, pictures embedded, no request to anywhere."""
    room = Path(__file__).with_name("templates")
    environment = Environment(
        loader=FileSystemLoader(room),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": texts.number, "interval": texts.interval, "duration": duration}
    environment.filters |= {"counted": contrasts.counted, "lines": contrasts.lines, "compared": contrasts.said}
    environment.globals["opened"] = {one["cell"] for one in report["cells"]}
    about = evidence.about
    shown = [_study(evidence, study, report, figures) for study in about["studies"]]
    papers = len({study["name"] for study in about["studies"]} - {study.name for study in (HEADLINE, *BEYOND)})
    placed = {figure.name for study in shown for figure in study["figures"]}
    facts = report["videos"]
    return environment.get_template("page.html.j2").render(
        report=report,
        protocol=about["protocol"],
        style=(room / "style.css").read_text(encoding="utf-8"),
        script=(room / "page.js").read_text(encoding="utf-8"),
        studies=shown,
        rest=[figure for figure in figures if figure.name not in {*placed, response.NAME}],
        searching=next((figure for figure in figures if figure.name == response.NAME), None),
        claims=_claims(report["claims"], about["studies"], papers),
        noise=noise(),
        others=[entry for entry in published_entries() if not entry.study],
        papers=papers,
        shared=evidence.shared,
        printed=len(published_entries()),
        size=about["size"],
        narrow=about["backbone"] == "r2plus1d_narrow",
        few=bool(facts) and facts["videos"] < FEW and not report["targets"],
        texts=texts,
        published_names=PUBLISHED_NAMES,
        embed=embed,
        earlier=earlier(evidence.store.out),
    )


def _study(evidence: Evidence, study: dict[str, Any], report: dict[str, Any], figures: list[Drawn]) -> dict[str, Any]:
    table = tables.wide(report["tables"][study["name"]])
    return {
        "study": study,
        "table": table,
        "caption": tables.caption(evidence, study, table),
        "contrasts": report["contrasts"].get(study["name"]),
        "figures": [figure for figure in figures if figure.study == study["name"]],
        "reference": [entry for entry in published_entries() if entry.study == study["name"]],
    }


def _claims(found: list[dict[str, Any]], studies: list[dict[str, Any]], papers: int) -> list[dict[str, Any]]:
    """Claims with their verdicts beside each other; of a report of findings alone, those that its studies test."""
    tested = {name for study in studies for name in study["claims"]}
    entries = {claim: [entry for entry in found if entry["id"] == claim.id] for claim in CLAIMS if claim.id in tested or papers}
    return [{"claim": claim, "verdicts": verdicts} for claim, verdicts in entries.items() if verdicts]


def embed(figure: Drawn) -> str:
    """The figure's svg as a data URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(figure.files[1].read_bytes()).decode()}"


def duration(seconds: float) -> str:
    """45 s, 12 min, 3.4 h."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
