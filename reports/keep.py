"""Results worth keeping: copied out of a run's folder into docs/results, and quoted in the README from there.

`python -m reports.keep OUT docs/results/quick` copies report.json, the tables and the figures with their CSV, and
rewrites the README between its markers. No number there is typed: a test compares the README with what stands in docs/results.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from fame.errors import FameError

BEGIN, END = "<!-- begin: written by reports/keep.py -->", "<!-- end: written by reports/keep.py -->"
KEPT = ("report.json", "tables/*.md", "tables/*.csv", "figures/*.png", "figures/*.csv")
QUOTED = "area_ratio"


def keep(out: Path, folder: Path) -> list[Path]:
    """Copy the report of `out` to `folder`, which is emptied first; returns the files. FameError where there is no report."""
    report = out / "report"
    if not (report / "report.json").exists():
        raise FameError(f"{out} holds no report: make one with run_study.py report --out {out}")
    shutil.rmtree(folder, ignore_errors=True)
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
        f"Verdicts on the claims: {counted}.",
        "",
        *_table(report["tables"][QUOTED]),
        "",
        f"![Figure 1: activation maps]({folder}/figures/activation_maps_figure1.png)",
        f"![Figure 3: temporal kernel weights]({folder}/figures/temporal_kernels_figure3.png)",
        f"![Figure 4: foreground masks]({folder}/figures/mask_quality_figure4.png)",
    ]
    return "\n".join(lines)


LABELS = {"own": "own scenes", "deranged": "deranged scenes", "gap": "background gap"}


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


def quoted(readme: str) -> str:
    """What stands between the markers; FameError where they are missing."""
    if BEGIN not in readme or END not in readme:
        raise FameError(f"README.md has lost the markers {BEGIN!r} and {END!r}")
    return readme.split(BEGIN, 1)[1].split(END, 1)[0].strip("\n")


def quote(readme: str, text: str) -> str:
    """The README with `text` between its markers."""
    old = quoted(readme)
    before, after = readme.split(BEGIN, 1)[0], readme.split(END, 1)[1]
    return readme if old == text else f"{before}{BEGIN}\n{text}\n{END}{after}"


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m reports.keep OUT docs/results/NAME\n")
        return 2
    out, folder = Path(arguments[0]), Path(arguments[1])
    try:
        keep(out, folder)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        readme = Path("README.md")
        readme.write_text(quote(readme.read_text(encoding="utf-8"), excerpt(report, folder.as_posix())), encoding="utf-8")
    except FameError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
