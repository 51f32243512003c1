"""(6) A whole study: where its minutes go, by kind of stage, and how much of the workers' time nothing was at work.

Read from the finished runs of an output folder alone (each result.json knows its kind, its seconds and its end), so that any
study can be looked at afterwards: `--study OUT`. Without one a few studies are run at smoke scale. `--before OUT`: the same
study by an earlier version on the same machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Outcome, Sheet, Target
from benchmarks.memory import ROOT
from benchmarks.setting import Setting
from benchmarks.timing import spread
from fame.errors import FameError
from studies.harness.store import METRICS, RESULT, Store

TITLE = "A whole study: where the minutes go"
HALF = Target("`make reproduce` at quick, two cores: minutes now / before", 0.5, "x", at_most=True)
TARGETS = (HALF,)
RUN = ("--scale", "smoke")
FEW = ("area_ratio", "mask_quality")  # run where no study is given: a minute or two


@dataclass(frozen=True)
class Finished:
    """One run; `end` in seconds since 1970, to the second. `waited`, `augmented`: seconds, where its log tells them."""

    kind: str
    seconds: float
    end: float
    cores: int
    machine: str
    processor: str = ""
    waited: float = 0.0
    augmented: float = 0.0

    @property
    def start(self) -> float:
        return self.end - self.seconds


@dataclass(frozen=True)
class Profile:
    """`span`: seconds from the first file of the folder's cache, or the first run's start, to the end of the last run."""

    runs: list[Finished]
    preparing: float  # seconds before the first run: data rendered and decoded, workers started
    reporting: float  # seconds after the last run until the report was written; 0 where there is none

    @property
    def span(self) -> float:
        return self.preparing + self.computing + self.reporting

    @property
    def computing(self) -> float:
        return max(run.end for run in self.runs) - min(run.start for run in self.runs)

    @property
    def workers(self) -> int:
        """As many as the machine had cores, or as ever ran side by side where that was fewer."""
        return max(1, min(max(run.cores for run in self.runs), side_by_side(self.runs)))

    @property
    def idle(self) -> float:
        """Share of the workers' time between the first start and the last end that is no run's."""
        return max(0.0, 1 - sum(run.seconds for run in self.runs) / (self.workers * max(self.computing, 1e-9)))

    def by_kind(self) -> dict[str, list[Finished]]:
        """Largest first."""
        kinds: defaultdict[str, list[Finished]] = defaultdict(list)
        for run in self.runs:
            kinds[run.kind].append(run)
        return dict(sorted(kinds.items(), key=lambda item: -sum(run.seconds for run in item[1])))


def side_by_side(runs: list[Finished]) -> int:
    """The largest number of runs going at once, by the middle of each: stamps to the second make neighbours overlap."""
    middles = [(run.start + run.end) / 2 for run in runs]
    return max(sum(run.start < middle < run.end for run in runs) for middle in middles)


def profile(out: Path) -> Profile:
    """FameError where OUT holds no finished run, or runs that were continued in several goes (their times do not add up)."""
    found = []
    store = Store(out)
    for path in sorted(out.glob(f"runs/*/*/{RESULT}")):
        result = store.result(path.parent.parent.name, int(path.parent.name))
        if result is None:
            continue
        if result.get("resumed"):
            raise FameError(f"{path}: this run was broken off and continued, so its time is not known; take a study run in one go")
        found.append(_finished(result, path.parent))
    if not found:
        raise FameError(f"{out}: no finished runs there (OUT/runs/STAGE/REPLICATE/{RESULT}); give a study's output folder")
    first, last = min(run.start for run in found), max(run.end for run in found)
    made = [file.stat().st_mtime for file in (out / "cache").rglob("*") if file.is_file()]
    report = out / "report" / "report.json"
    # a folder that was copied has lost its times, and tells nothing of either
    preparing = first - min(made, default=first)
    reporting = report.stat().st_mtime - last if report.exists() else 0.0
    return Profile(found, max(0.0, preparing), reporting if 0 < reporting < 3600 else 0.0)


def _finished(result: dict[str, Any], folder: Path) -> Finished:
    waited = augmented = 0.0
    if (folder / METRICS).exists():
        for line in (folder / METRICS).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            seconds = float(entry.get("seconds", 0.0))
            waited += seconds * float(entry.get("waiting", 0.0))
            augmented += seconds * float(entry.get("augmenting", 0.0))
    hardware = result.get("hardware", {})
    end = datetime.fromisoformat(result["finished"]).timestamp()
    cores, machine = int(hardware.get("cores", 1)), str(hardware.get("machine", ""))
    processor = str(hardware.get("processor", ""))
    return Finished(result["kind"], float(result["seconds"]), end, cores, machine, processor, waited, augmented)


def measure(setting: Setting) -> Outcome:
    out, took = setting.study, None
    if out is None:
        out = setting.folder / "study"
        took = run_study(out, setting)
    found = profile(out)
    scale = (Store(out).setting() or {}).get("scale", "unknown")
    sheet = Sheet("study", TITLE, {"scale": scale, "runs": len(found.runs), "workers": found.workers})
    total = sum(run.seconds for run in found.runs)
    if took is not None:
        sheet.add("the command, from start to end", spread([took]), "s")
    sheet.add("preparing: data, workers", spread([found.preparing]), "s")
    sheet.add("runs, first start to last end", spread([found.computing]), "s", least=total / found.workers)
    sheet.add("report", spread([found.reporting]), "s")
    sheet.add("workers idle between", spread([100 * found.idle]), "% of their time")
    for kind, runs in found.by_kind().items():
        seconds = sum(run.seconds for run in runs)
        sheet.add(f"{kind}: {len(runs)} runs", spread([seconds]), "s of a worker", note=f"{100 * seconds / total:.0f} % of all")
    for name in ("waited", "augmented"):
        share = 100 * sum(getattr(run, name) for run in found.runs) / total
        sheet.add(f"{'reading clips' if name == 'waited' else 'augmenting in pretraining'}", spread([share]), "% of all")
    _against(setting, sheet, found, str(scale))
    return sheet.outcome()


def _against(setting: Setting, sheet: Sheet, now: Profile, scale: str) -> None:
    if setting.before is None:
        sheet.skip(HALF, "no --before OUT, the finished folder of the version before")
        return
    before = profile(setting.before)
    told = (Store(setting.before).setting() or {}).get("scale", "unknown")
    if scale != "quick" or told != "quick":
        sheet.skip(HALF, f"the scales are {told} before and {scale} now, not quick")
    elif not _alike(before.runs, now.runs):
        sheet.skip(HALF, "the two studies are from different machines")
    else:
        sheet.add("whole study, now / before", spread([now.span / before.span]), "x", target=HALF)


def _alike(before: list[Finished], now: list[Finished]) -> bool:
    """Whether all are from one machine. Versions that did not name a processor's vector units are taken at the caller's word."""
    if {run.machine for run in before} == {run.machine for run in now}:
        return True
    model = {run.processor.rpartition(" (")[0] for run in now}
    return {run.processor for run in before} == model and {run.cores for run in before} == {run.cores for run in now}


def run_study(out: Path, setting: Setting) -> float:
    """Run a few studies at smoke scale (one where `tiny`) into `out`; seconds of the whole command."""
    names = ("mask_quality",) if setting.tiny else FEW
    command = [sys.executable, "run_study.py", "run", *names, *RUN, "--out", str(out), "--device", str(setting.device)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FameError(f"the smoke study failed: {(done.stderr.strip().splitlines() or ['no message'])[0]}")
    return time.perf_counter() - began
