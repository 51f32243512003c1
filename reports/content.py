"""Everything that the page says, as one value: report.json. What is computed here is neither typed nor computed elsewhere."""

import time
from collections import Counter
from typing import Any

from reports import contrasts
from reports.answer import answer
from reports.cells import cells
from reports.evidence import Evidence
from reports.headline import headline
from reports.ledger import ledger
from reports.response import section
from reports.tables import entries
from reports.targets import of_targets
from studies.setting.asked import listed


def content(evidence: Evidence, commit: str, typed: str | None) -> dict[str, Any]:
    """report.json: scale, commit, tables, claims, runs as every consumer may rely on; headline, contrasts and more beside them."""
    about, claims, videos = evidence.about, ledger(evidence), video_facts(evidence)
    classes, targets = (videos or {}).get("classes") or about["classes"], of_targets(evidence)
    return {
        "answer": answer(evidence, claims, classes, targets),
        "scale": about["scale"],
        "commit": commit,
        "dataset": about["dataset"],
        "protocol": {name: about["protocol"][name] for name in ("name", "version")},
        "replicates": list(evidence.replicates),
        "standing": standing(evidence),
        "command": about["command"],
        "typed": typed,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "note": about["note"],
        "undecided": about["undecided"],
        "videos": videos,
        "too_short": too_short(evidence),
        "overrides": about["overrides"],
        "pretrained": about["pretrained"],
        "headline": headline(evidence),
        "targets": targets,
        "tables": {study["name"]: entries(evidence, study["name"]) for study in about["studies"]},
        "contrasts": contrasts.tables(evidence),
        "claims": claims,
        "cells": cells(evidence),
        "search": section(evidence.store.out),
        "runs": runs(evidence),
    }


def standing(evidence: Evidence) -> dict[str, Any]:
    """Return the replicates `planned`, `done` (all runs finished) and `begun`; `remarks`: these are not as fixed, or lack runs.

    `interim` are the words where some are missing, else ""; a single replicate is never interim.
    """
    stages, numbers, fixed = evidence.records.listed, evidence.replicates, evidence.about["decided_by"]
    planned = {number: {stage for stage, one in stages.items() if number in one.replicates} for number in numbers}
    finished = {number: {stage for stage in planned[number] if evidence.result(stage, number)} for number in numbers}
    done = [number for number in numbers if finished[number] == planned[number]]
    begun = [number for number in numbers if finished[number]]
    interim = f"interim: {len(done)} of {len(numbers)} replicates" if len(done) < len(numbers) and len(numbers) > 1 else ""
    remarks = []
    if fixed > 1 and fixed != len(numbers):
        which = f"{listed(numbers)}, not the {fixed} that were fixed for the {evidence.about['scale']} scale beforehand"
        remarks.append(f"This study has replicates {which}.")
    somewhere = set().union(*finished.values())
    for number in begun if len(begun) > 1 else ():
        lost = len(somewhere & planned[number] - finished[number])
        remarks += [f"Replicate {number} lacks {lost} runs that other replicates have."] if lost else []
    return {
        "planned": list(numbers),
        "done": done,
        "begun": begun,
        "interim": interim,
        "remarks": remarks,
    }


def too_short(evidence: Evidence) -> dict[str, dict[str, int]]:
    """Videos that a protocol has dropped because a clip does not fit into them, by set and split, as finished runs noted them."""
    found: dict[str, dict[str, int]] = {}
    for stage in evidence.records.listed:
        for replicate in evidence.replicates:
            noted = (evidence.result(stage, replicate) or {}).get("notes", {}).get("too_short", {})
            if noted:
                data = evidence.store.config(stage, replicate).get("data") or {}
                there = found.setdefault(data.get("part", data.get("kind", "")), {})
                there |= {split: max(number, there.get(split, 0)) for split, number in noted.items()}
    return found


def video_facts(evidence: Evidence) -> dict[str, Any] | None:
    """Count target A's real videos and classes, beside `sets` of every part and `left_out` broken videos; None for staged ones."""
    about = evidence.about
    if not about["real"]:
        return None
    found: dict[str, Any] = {name: about[name] for name in ("splits", "sets", "folds", "absent", "left_out", "left_out_counted")}
    found |= {"classes": None, "queries_without_class": None}
    asked = [cell for cell in evidence.records.cells if cell.stages and (cell.evaluation, cell.target) == ("retrieval", "A")]
    for stage in {cell.stages.split()[0] for cell in asked}:
        result = next((result for number in evidence.replicates if (result := evidence.result(stage, number))), None)
        if result:
            notes = result.get("notes", {})
            found["classes"] = notes.get("classes_in_gallery")
            found["queries_without_class"] = notes.get("queries_without_gallery_class")
            found["splits"] = found["splits"] or {"train": notes.get("gallery", 0), **notes.get("queries", {})}
            break
    found["videos"] = sum(found["splits"].values()) or sum(
        sum(one["splits"].values()) for one in about["sets"] if one["part"] != "source"
    )
    return found


def runs(evidence: Evidence) -> dict[str, Any]:
    """What was asked for and what is there: counts, seconds, hardware, versions, commits, failures, and a line a run."""
    kinds: dict[str, dict[str, float]] = {}
    lines: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    hardware: Counter[tuple[tuple[str, str], ...]] = Counter()
    versions: Counter[tuple[tuple[str, str], ...]] = Counter()
    commits: Counter[str] = Counter()
    for stage, one in evidence.records.listed.items():
        kind = kinds.setdefault(one.kind, {"planned": 0, "finished": 0, "failed": 0, "seconds": 0.0})
        for replicate in one.replicates:
            kind["planned"] += 1
            result = evidence.result(stage, replicate)
            if result is None:
                failure = evidence.store.failure(stage, replicate)
                kind["failed"] += failure is not None
                if failure:
                    message = failure.get("message", "")
                    failures.append({"stage": stage, "kind": one.kind, "replicate": replicate, "message": message})
                continue
            kind["finished"] += 1
            kind["seconds"] += float(result.get("seconds") or 0)
            hardware[_pairs(result.get("hardware"))] += 1
            versions[_pairs(result.get("versions"))] += 1
            commits[str(result.get("commit") or "unknown")] += 1
            line = {name: result.get(name) for name in ("stage", "kind", "replicate", "upstream", "data", "seconds", "finished")}
            lines.append(line | {"studies": list(one.studies)})
    total = {name: sum(kind[name] for kind in kinds.values()) for name in ("planned", "finished", "failed", "seconds")}
    return {
        **total,
        "kinds": kinds,
        "failures": failures,
        "hardware": [{**dict(facts), "runs": count} for facts, count in hardware.most_common()],
        "versions": [{**dict(facts), "runs": count} for facts, count in versions.most_common()],
        "commits": dict(commits.most_common()),
        "list": lines,
    }


def _pairs(facts: dict[str, Any] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, str(value)) for key, value in (facts or {}).items()))
