"""Results worth keeping: copied out of a run's folder into docs/results, and quoted in the README from there.

`python -m reports.keep OUT docs/results/NAME` copies report.json, the tables and the figures with their CSV, and rewrites README.md
between two pairs of markers: the run shown (of the claims' scale where one is kept, else `quick`), and the verdicts on the claims,
which only the claims' scale has. docs/findings.md is rewritten between its own pair from every folder that holds findings
(docs/results/findings, which the README does not quote, and others with more replicates). No number there is typed: a test compares
both files with what stands in docs/results.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fame.errors import FameError
from reports import findings
from studies.harness.progress import duration

RUN = ("<!-- begin: written by reports/keep.py -->", "<!-- end: written by reports/keep.py -->")
LEDGER = ("<!-- begin: claims, written by reports/keep.py -->", "<!-- end: claims, written by reports/keep.py -->")
ANSWERS = ("<!-- begin: findings, written by reports/keep.py -->", "<!-- end: findings, written by reports/keep.py -->")
FINDINGS = "findings"  # the folder of docs/results that docs/findings.md quotes first
DOCUMENT = Path("docs/findings.md")
CLAIMS_SCALE, DEFAULT = "mini", "quick"  # folders of docs/results that the README quotes
NOT_RUN = f"The claims are judged at scale `{CLAIMS_SCALE}`, which has not been run yet."
KEPT = ("report.json", "tables/*.md", "tables/*.csv", "figures/*.png", "figures/*.csv")
QUOTED = "area_ratio"


def keep(out: Path, folder: Path) -> list[Path]:
    """Copy the report of `out` to `folder`, in place of the one there; returns the files. FameError where there is no report.

    Other files in `folder` stay: the packed replicates may lie there (docs/running.md).
    """
    report = out / "report"
    if not (report / "report.json").exists():
        raise FameError(f"{out} holds no report: make one with run_study.py report --out {out}")
    for name in ("tables", "figures"):
        shutil.rmtree(folder / name, ignore_errors=True)
    kept = []
    for pattern in KEPT:
        for source in sorted(report.glob(pattern)):
            target = folder / source.relative_to(report)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            kept.append(target)
    data = folder / "report.json"
    told = json.loads(data.read_text(encoding="utf-8"))
    told.pop("typed", None)  # holds paths of the machine; `command` is the one to repeat
    told.setdefault("machine", told["runs"]["hardware"])  # with command and commit: what it took, in one place
    told.setdefault("seconds", told["runs"]["seconds"])
    data.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return kept


def excerpt(report: dict[str, Any], folder: str) -> str:
    """Markdown for the README: which run, the headline, the claims counted, table 1, three figures linked in `folder`."""
    head, runs = report["headline"], report["runs"]
    gain = head["differences"]
    verdicts = [claim["verdict"] for claim in report["claims"]]
    counted = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts))
    lines = [
        f"From one run of `{report['command']}` at commit `{report['commit'][:12]}` ({runs['finished']} runs; everything it wrote: "
        f"[{folder}]({folder})).",
        "",
        "FAME (beta 0.5, single view) minus the baseline, linear probe on target A, intervals over "
        + ("replicates" if gain["own"]["over"] == "replicates" else "test videos of this one run")
        + ":",
        "",
        *(f"- {LABELS[key]}: {_difference(found, key)}" for key, found in gain.items() if key in LABELS),
        "",
        *control_lines(head.get("controls", ())),
        *_deranged(report["tables"]),
        f"Verdicts on the claims: {counted}.",
        "",
        *_table(report["tables"][QUOTED]),
        "",
        *(f"![{text}]({folder}/{figure['png']})" for figure in report["figures"] if (text := PICTURES.get(figure["name"]))),
    ]
    return "\n".join(lines)


PICTURES = {
    "activation_maps_figure1": "Figure 1: activation maps",
    "temporal_kernels_figure3": "Figure 3: temporal kernel weights",
    "mask_quality_figure4": "Figure 4: foreground masks",
}
MISLED = "A deranged scenes, linear"  # label of `studies.study.deranged("A")`
LABELS = {
    "own": "own scenes",
    "deranged": "deranged scenes",
    "gap": "background gap",
    "balanced": "deranged scenes, head trained on scene-balanced videos",
}


def _deranged(tables: dict[str, list[dict[str, Any]]]) -> list[str]:
    """How far up any encoder gets where scenes mislead: below chance a gain may be less shortcut without more motion."""
    found = [entry for entries in tables.values() for entry in entries if entry["label"] == MISLED and entry["mean"] is not None]
    if not found:
        return []
    best = max(found, key=lambda entry: entry["mean"])
    name = ", ".join(filter(None, (best["row"], best["column"])))
    return [f"The highest accuracy of any encoder in deranged scenes (linear probe on A) is {best['mean']:.1f} % ({name}).", ""]


def control_lines(controls: Sequence[dict[str, Any]]) -> list[str]:
    """What perfect masks gain: where they gain nothing, no verdict speaks against FAME's own."""
    lines = []
    for control in controls:
        told = [f"{LABELS[key]} {_difference(control['differences'][key], key)}" for key in ("deranged", "balanced")]
        lines += [f"Positive control, {control['text']}, minus the baseline: {'; '.join(told)}.", ""]
    return lines


def _difference(found: dict[str, Any], key: str) -> str:
    if found["mean"] is None:
        return "not run"
    low, high = found["interval"] or (None, None)
    between = f" [{low:+z.1f}, {high:+z.1f}]" if low is not None else ""
    return f"{found['mean']:+.1f} points{between}, n = {found['n']}"


def _table(entries: list[dict[str, Any]]) -> list[str]:
    """Rows by measures; ours with its interval, the paper beside it where it has one (another dataset)."""
    labels = list(dict.fromkeys(entry["label"] for entry in entries))
    published = [label for label in labels if any(e["label"] == label and e["published"] is not None for e in entries)]
    header = [name for label in labels for name in ([label, "paper"] if label in published else [label])]
    rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for entry in entries:
        rows.setdefault((entry["row"], entry["column"]), {})[entry["label"]] = entry
    lines = ["| beta | views | " + " | ".join(header) + " |", "| --- | --- |" + " --- |" * len(header)]
    for (row, column), found in rows.items():
        cells = []
        for label in labels:
            entry = found[label]
            ours = "not run" if entry["mean"] is None else f"{entry['mean']:.1f}"
            if entry["interval"]:
                ours += " [{:z.1f}, {:z.1f}]".format(*entry["interval"])
            cells.append(ours)
            if label in published:
                cells.append("" if entry["published"] is None else f"{entry['published']:g}")
        lines.append(f"| {row} | {column} | " + " | ".join(cells) + " |")
    return lines


def claims(report: dict[str, Any] | None, folder: str) -> str:
    """Markdown for the README: a line a claim and kind, with the link that decides it; one line where that was not run."""
    if report is None:
        return NOT_RUN
    runs, standing = report["runs"], report["standing"]
    made = f"From `{report['command']}`: {runs['finished']} of {runs['planned']} runs, {duration(runs['seconds'])} of computing"
    lines = [f"{made}; all of it in [{folder}]({folder}).", ""]
    if standing["interim"]:
        lines += [f"**{standing['interim'].capitalize()}. Until all are there nothing is decided.**", ""]
    lines += [text for remark in standing["remarks"] for text in (remark, "")]
    lines += ["| | claim | measured | verdict | its weakest link | difference | n |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for claim in report["claims"]:
        words = [claim["id"], claim["text"], claim["kind"], f"**{claim['verdict']}**", claim.get("weakest", "")]
        cells = [*words, effect(claim["effect"], claim["interval"]), str(claim["n"])]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def effect(mean: float | None, bounds: list[float] | None) -> str:
    """Points with one digit, shares and AUROCs with three."""
    if mean is None:
        return ""
    places = 1 if abs(mean) >= 0.5 or (bounds and bounds[1] - bounds[0] > 1) else 3
    return f"{mean:+z.{places}f}" + (f" [{bounds[0]:+z.{places}f}, {bounds[1]:+z.{places}f}]" if bounds else "")


def quoted(readme: str, marks: tuple[str, str] = RUN) -> str:
    """What stands between the markers; FameError where they are missing."""
    begin, end = marks
    if begin not in readme or end not in readme:
        name = DOCUMENT if marks == ANSWERS else "README.md"
        raise FameError(f"{name} has lost the markers {begin!r} and {end!r}")
    return readme.split(begin, 1)[1].split(end, 1)[0].strip("\n")


def quote(readme: str, text: str, marks: tuple[str, str] = RUN) -> str:
    """The README with `text` between its markers."""
    old = quoted(readme, marks)
    before, after = readme.split(marks[0], 1)[0], readme.split(marks[1], 1)[1]
    return readme if old == text else f"{before}{marks[0]}\n{text}\n{marks[1]}{after}"


def quoting(readme: str, results: Path) -> str:
    """The README as the reports kept in `results` want it."""
    kept = {name: _kept(results / name) for name in (CLAIMS_SCALE, DEFAULT)}
    name, shown = next(((name, report) for name, report in kept.items() if report), ("", None))
    if shown:
        readme = quote(readme, excerpt(shown, (results / name).as_posix()))
    return quote(readme, claims(kept[CLAIMS_SCALE], (results / CLAIMS_SCALE).as_posix()), LEDGER)


def answering(document: str, results: Path) -> str:
    """docs/findings.md as the reports kept in `results` want it; its links start in docs/.

    All folders but that of the default scale, which is too small to answer: the findings' own first, the others by name.
    """
    names = {path.parent.name for path in results.glob("*/report.json")} - {DEFAULT}
    kept = {name: _kept(results / name) for name in sorted(names, key=lambda name: (name != FINDINGS, name))}
    reports = {f"{results.name}/{name}": report for name, report in kept.items() if report and report.get("answers")}
    return quote(document, findings.section(reports), ANSWERS)


def _kept(folder: Path) -> dict[str, Any] | None:
    path = folder / "report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m reports.keep OUT docs/results/NAME\n")
        return 2
    out, folder = Path(arguments[0]), Path(arguments[1])
    readme = Path("README.md")
    try:
        text = readme.read_text(encoding="utf-8")
        for marks in (RUN, LEDGER):
            quoted(text, marks)  # before anything is replaced
        document = DOCUMENT.read_text(encoding="utf-8")
        quoted(document, ANSWERS)
        keep(out, folder)
        readme.write_text(quoting(text, folder.parent), encoding="utf-8")
        DOCUMENT.write_text(answering(document, folder.parent), encoding="utf-8")
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code
    except OSError as error:
        sys.stderr.write(f"error: {error.filename}: {error.strerror}; call it from the project's folder\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
