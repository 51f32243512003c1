"""Record a study for its readers: every number's runs as cells, and what is run on what (studies/records.py reads both)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from studies.findings.contrasts import DECIDING, Best, Finding
from studies.paper.baseline import published_difference, reference, unit
from studies.paper.claims import GAIN, claims_on
from studies.paper.headline import GATE, MEASURES, apart, methods
from studies.paper.published import published
from studies.records import Cell, Records
from studies.setting.asked import Asked, LeftOut
from studies.setting.paper_sets import PAPER, absent
from studies.setting.resolve import Setting
from studies.study import MEAN, UNCHANGED, Changes, Measure, Method, Row, Study

Pair = tuple[Method | None, Measure]


def record(asked: Asked) -> Records:
    scanned = asked.folds[0] if asked.folds else {}
    found = about(asked.setting, asked.studies, asked.replicates, {part: one.counts for part, one in scanned.items()})
    for one in found["sets"]:
        one["classes"] = scanned[one["part"]].classes
    found |= {
        "left_out": [one.model_dump() for one in asked.left_out],
        "left_out_counted": counted(asked.left_out),
        "overrides": asked.options.overrides,
        "pretrained": asked.weights.model_dump() if asked.weights else None,
        "command": asked.command(),
    }
    return Records(cells(asked.setting, asked.studies), found)


def cells(setting: Setting, studies: tuple[Study, ...]) -> tuple[Cell, ...]:
    """Return the cells of the studies' tables, then those that only claims, gates, contrasts and the headline look at."""
    tables = [
        _cell(setting, study, row, measure)
        for study in studies
        for row in setting.rows(study)
        for measure in setting.measures(study)
    ]
    known = {(cell.method, cell.evaluation, cell.target) for cell in tables}
    others: dict[tuple[str, str, str], Cell] = {}
    for method, measure in _looked_at(setting, studies):
        key = (method.text if method else "", measure.protocol, measure.target)
        if key not in known and key not in others:
            others[key] = Cell(**_runs(setting, method, measure))
    return (*tables, *others.values())


def counted(left_out: Iterable[LeftOut]) -> list[str]:
    """Return a line a set: `ucf101, fold 1: 3 broken videos left out: 2 train, 1 test (2 truncated, 1 empty)`."""
    sets: dict[tuple[str, int], list[LeftOut]] = {}
    for one in left_out:
        sets.setdefault((one.kind, one.fold), []).append(one)
    lines = []
    for (kind, fold), broken in sets.items():
        splits, faults = (
            ", ".join(f"{count} {name}" for name, count in Counter(names).items())
            for names in ([one.split for one in broken], [one.fault for one in broken])
        )
        many = "1 broken video" if len(broken) == 1 else f"{len(broken)} broken videos"
        lines.append(f"{kind}, fold {fold}: {many} left out: {splits} ({faults})")
    return lines


def _cell(setting: Setting, study: Study, row: Row, measure: Measure) -> Cell:
    base = None if setting.pretrained or measure.protocol == "masks" else reference(study, row)  # masks are of the videos alone
    theirs = published(study.name, row.label, row.column, measure.published)
    theirs_apart = published_difference(study, row, base, measure.published) if base else None
    return Cell(
        study=study.name,
        row=row.label,
        column=row.column,
        label=measure.label,
        metric=measure.metric,
        unit=unit(measure),
        kind=measure.kind,
        baseline=base.label if base else "",
        baseline_method=base.method.text if base and base.method else "",
        published=_text(theirs.value if theirs else None),
        published_difference=_text(theirs_apart),
        source=theirs.source if theirs else "",
        **_runs(setting, row.method, measure),
    )


def _runs(setting: Setting, method: Method | None, measure: Measure) -> dict[str, str]:
    parts = setting.targets if measure.target == MEAN else (measure.target,)
    found = [setting.stage(Row("", method), replace(measure, target=part)) for part in parts]
    folds = [fold for stage in found if stage for fold in setting.folded(stage)] if all(found) else []
    return {
        "method": method.text if method else "",
        "evaluation": measure.protocol,
        "target": measure.target,
        "stages": " ".join(fold.id for fold in folds),
        "upstream": " ".join(fold.upstream.id for fold in folds if fold.upstream),
    }


def _text(value: float | None) -> str:
    return "" if value is None else repr(value)


def _looked_at(setting: Setting, studies: tuple[Study, ...]) -> Iterator[Pair]:
    """Yield what the report looks at beside the tables' rows: baselines, contrasts, claims' sides, gates and the headline."""
    encoders: list[Method] = []
    for study in studies:
        for row in setting.rows(study):
            encoders += [row.method] if row.method else []
            if base := reference(study, row):
                yield from ((base.method, measure) for measure in setting.measures(study))
        if isinstance(study, Finding):
            asked = [*DECIDING, *(one.measure for one in study.contrasts if one.measure)]
            asked += [term.by for one in study.contrasts for _, term in one.terms if isinstance(term, Best)]
            yield from ((row.method, measure) for row in study.rows for measure in asked)
    for link in (link for claim in claims_on(setting.targets) for test in claim.tests for link in (*test.links, *test.beside)):
        for side in (*link.greater.parts, *link.lesser.parts):
            encoders += side.encoders
            if isinstance(side.measure, Measure):
                yield side.method, side.measure
                if link.relation == "equal":
                    yield from ((method, side.measure) for method in GAIN)
    yield from ((method, measure) for method in of_headline(setting, studies).values() for measure in MEASURES.values())
    for world in dict.fromkeys(method.changes.world for method in encoders if method.changes.world):
        there = methods(Changes(world=world))
        yield from ((there[name], MEASURES[measure]) for name, measure in GATE)


def of_headline(setting: Setting, studies: tuple[Study, ...]) -> dict[str, Method]:
    """Return the headline's methods by name: as its study has them, or, where that is not run, in the scale's own setting."""
    return methods(setting.scale.headline if apart(studies) else UNCHANGED)


def about(
    setting: Setting,
    studies: tuple[Study, ...],
    replicates: tuple[int, ...],
    counts: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return what is run on what, for study.json; `counts` are the videos per split of each part.

    Some keys: undecided (why no claim gets a verdict), awaited (replicates that a verdict needs at least), decided_by (those that
    the headline needs), spread (points, of the headline over selection worlds), headline (by name the text of each of its
    methods), size (pixels), real (videos), classes (of staged A), splits (of A), targets (the user's), absent (a line on the
    paper's sets), left_out (broken videos).
    """
    protocol = setting.protocol
    return {
        "scale": setting.scale.name,
        "note": setting.scale.note,
        "undecided": setting.scale.undecided,
        "awaited": setting.scale.replicates,
        "decided_by": (apart(studies) and setting.scale.decided_by) or setting.scale.replicates,
        "spread": setting.scale.spread,
        "headline": {name: method.text for name, method in of_headline(setting, studies).items()},
        "size": setting.scale.clip.size,
        "backbone": setting.scale.backbone.name,
        "dataset": setting.dataset,
        "real": bool(setting.sets),
        "classes": len(setting.scale.world.A.actions) if setting.scale.world and not setting.sets else None,
        "sets": [
            {
                "part": part,
                "kind": one.name or one.kind,
                "manifest": one.manifest,
                "fold": one.fold,
                "splits": dict(counts.get(part, {})),
            }
            for part, one in setting.sets.items()
        ],
        "splits": dict(counts.get("A", {})),
        "folds": 1 + len(setting.folds),
        "targets": list(setting.targets),
        "absent": absent(setting.sets) if setting.dataset == PAPER else "",
        "left_out": [],
        "left_out_counted": [],
        "protocol": {
            "name": protocol.name,
            "version": protocol.version,
            "said": protocol.said,
            "about": protocol.about,
            "choices": [{"field": f"{one.group}.{one.field}", "does": one.does, "source": one.source} for one in protocol.choices],
        },
        "replicates": list(replicates),
        "studies": [described(study, replicates) for study in studies],
        "pretrained": {"name": "", "sha256": setting.pretrained} if setting.pretrained else None,
        "overrides": {},
        "command": "",
    }


def described(study: Study, replicates: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """Return what a report prints of a study beside its numbers, and which of the replicates it has."""
    return {
        "name": study.name,
        "title": study.title,
        "paper": study.paper,
        "claims": list(study.claims),
        "note": study.note,
        "replicates": list(replicates[: study.replicates or None]),
    }
