"""Everything that the page says, as one value: report.json. What is computed here is neither typed nor computed elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from reports import contrasts
from reports.evidence import Evidence
from reports.headline import headline
from reports.ledger import ledger
from reports.standing import standing
from reports.tables import entries
from studies.setting.asked import Asked
from studies.setting.left_out import LeftOut, counted
from studies.setting.options import Options
from studies.setting.paper_sets import absent
from studies.setting.resolve import all_stages
from studies.study import Study


def content(evidence: Evidence, studies: tuple[Study, ...], commit: str, command: str | None) -> dict[str, Any]:
    """report.json: scale, commit, tables, claims, runs as every consumer may rely on; headline, contrasts and more beside them."""
    setting = evidence.setting
    asked = evidence.store.setting() or {}
    return {
        "scale": setting.scale.name,
        "commit": commit,
        "dataset": setting.dataset,
        "protocol": setting.protocol.to_json(),
        "replicates": list(evidence.replicates),
        "standing": standing(evidence, studies),
        "command": command_of(evidence, asked),
        "typed": command,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "note": setting.sizes.note,
        "videos": video_facts(evidence, studies, asked),
        "too_short": too_short(evidence, studies),
        "overrides": Options.read(asked.get("options", {})).overrides,
        "pretrained": asked.get("weights"),
        "headline": headline(evidence),
        "tables": {study.name: entries(evidence, study) for study in studies},
        "contrasts": contrasts.tables(evidence, studies),
        "claims": ledger(evidence),
        "runs": runs(evidence, studies),
    }


def command_of(evidence: Evidence, asked: dict[str, Any]) -> str:
    """The command that makes these runs and this page, without the reader's own folders."""
    if asked:
        return Asked.model_validate(asked).command()
    setting = evidence.setting
    options = Options.read({"scale": setting.scale.name, "dataset": setting.dataset, "protocol": setting.protocol.name})
    return Asked(options=options, replicates=evidence.replicates).command()


def too_short(evidence: Evidence, studies: tuple[Study, ...]) -> dict[str, dict[str, int]]:
    """Videos that a protocol has dropped because a clip does not fit into them, by set and split, as finished runs noted them."""
    found: dict[str, dict[str, int]] = {}
    for stage, _ in all_stages(evidence.setting, studies).values():
        data = getattr(stage.config, "data", None)
        for replicate in evidence.replicates:
            noted = (evidence.result(stage, replicate) or {}).get("notes", {}).get("too_short", {})
            if data and noted:
                there = found.setdefault(getattr(data, "part", data.kind), {})
                there |= {split: max(number, there.get(split, 0)) for split, number in noted.items()}
    return found


def video_facts(evidence: Evidence, studies: tuple[Study, ...], asked: dict[str, Any]) -> dict[str, Any] | None:
    """Real videos: how many, and of how many classes, which decides whether a number can mean anything. None for staged ones.

    The numbers are target A's; `sets` has those of every part, `absent` names the paper's sets that are not there, and `left_out`
    the broken videos that are in no split, after a line a set in `left_out_counted`.
    """
    setting = evidence.setting
    if not setting.videos:
        return None
    scanned = (asked.get("folds") or [{}])[0]
    counts = {part: one["counts"] for part, one in scanned.items()}
    found: dict[str, Any] = {"splits": dict(counts.get("A", {})), "classes": None, "queries_without_class": None}
    found["sets"] = [
        {"part": part, "kind": one.kind, "manifest": one.manifest, "fold": one.fold, "splits": counts.get(part, {})}
        for part, one in setting.sets.items()
    ]
    found["folds"] = 1 + len(setting.folds)
    found["absent"] = absent(setting.sets) if setting.others is not None else ""
    found["left_out"] = list(asked.get("left_out") or [])
    found["left_out_counted"] = counted(LeftOut(**one) for one in found["left_out"])
    retrievals = [stage for stage, _ in all_stages(setting, studies).values() if stage.kind == "retrieval"]
    retrievals = [stage for stage in retrievals if getattr(stage.config, "data", None) == setting.videos]
    for stage in retrievals:
        result = next((result for number in evidence.replicates if (result := evidence.result(stage, number))), None)
        if result:
            notes = result.get("notes", {})
            found["classes"] = notes.get("classes_in_gallery")
            found["queries_without_class"] = notes.get("queries_without_gallery_class")
            if not found["splits"]:
                found["splits"] = {"train": notes.get("gallery", 0), **notes.get("queries", {})}
            break
    found["videos"] = sum(found["splits"].values())
    return found


def runs(evidence: Evidence, studies: tuple[Study, ...]) -> dict[str, Any]:
    """What was asked for and what is there: counts, seconds, hardware, versions, commits, failures, and a line a run."""
    kinds: dict[str, dict[str, float]] = {}
    listed: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    hardware: Counter[tuple[tuple[str, str], ...]] = Counter()
    versions: Counter[tuple[tuple[str, str], ...]] = Counter()
    commits: Counter[str] = Counter()
    for stage, serves in all_stages(evidence.setting, studies).values():
        kind = kinds.setdefault(stage.kind, {"planned": 0, "finished": 0, "failed": 0, "seconds": 0.0})
        for replicate in evidence.replicates:
            kind["planned"] += 1
            result = evidence.result(stage, replicate)
            if result is None:
                failure = evidence.store.failure(stage.id, replicate)
                kind["failed"] += failure is not None
                if failure:
                    failures.append(
                        {"stage": stage.id, "kind": stage.kind, "replicate": replicate, "message": failure.get("message", "")}
                    )
                continue
            kind["finished"] += 1
            kind["seconds"] += float(result.get("seconds") or 0)
            hardware[tuple(sorted((key, str(value)) for key, value in (result.get("hardware") or {}).items()))] += 1
            versions[tuple(sorted((key, str(value)) for key, value in (result.get("versions") or {}).items()))] += 1
            commits[str(result.get("commit") or "unknown")] += 1
            line = {name: result.get(name) for name in ("stage", "kind", "replicate", "upstream", "seconds", "finished")}
            listed.append(line | {"studies": list(serves)})
    total = {name: sum(kind[name] for kind in kinds.values()) for name in ("planned", "finished", "failed", "seconds")}
    return {
        **total,
        "kinds": kinds,
        "failures": failures,
        "hardware": [{**dict(facts), "runs": count} for facts, count in hardware.most_common()],
        "versions": [{**dict(facts), "runs": count} for facts, count in versions.most_common()],
        "commits": dict(commits.most_common()),
        "list": listed,
    }
