"""Compute the findings' contrasts; all those of a finding, by all measures, are adjusted together (Holm)."""

from collections import Counter
from typing import Any

from reports.evidence import Evidence, Values
from reports.gate import Gate, gates
from reports.statistics import judge_contrasts
from reports.texts import interval, number
from studies.findings.contrasts import DECIDING, Best, Finding, Place, Terms
from studies.paper.links import POINTS, SHARE
from studies.paper.registry import declared
from studies.study import Measure, Row


def tables(evidence: Evidence) -> dict[str, dict[str, Any]]:
    """Return the `contrasts` of report.json, by finding; none on one given encoder, which leaves nothing to compare."""
    if evidence.about["pretrained"]:
        return {}
    found = [declared(study["name"]) for study in evidence.about["studies"]]
    return {study.name: table(evidence, study) for study in found if isinstance(study, Finding)}


def table(evidence: Evidence, study: Finding) -> dict[str, Any]:
    """Return the finding's question, how many comparisons were made, what came of them, each of them, and the gates."""
    found, asked = contrasts(evidence, study)
    states = Counter(one["state"] for one in found)
    return {
        "question": study.question,
        "measures": [measure.label for measure in DECIDING],
        "replicates": evidence.shared,
        "compared": len(found),
        "differ": states["above"] + states["below"],
        "negligible": states["negligible"],
        "contrasts": found,
        "gates": [gate.to_json() for gate in dict.fromkeys(asked)],
    }


def contrasts(evidence: Evidence, study: Finding) -> tuple[list[dict[str, Any]], list[Gate]]:
    """Return every contrast by every measure, judged together, and the gates; withheld where one is shut or a replicate lacks."""
    recorded = {(cell.row, cell.column) for cell in evidence.records.table(study.name)}  # fewer where single rows were asked for
    rows = {place: row for row in study.rows if (place := (row.label, row.column)) in recorded}
    found: list[dict[str, Any]] = []
    samples: list[Values] = []
    all_asked: list[Gate] = []
    for contrast in study.contrasts:
        for measure in (contrast.measure,) if contrast.measure else DECIDING:
            values, taken = weighted(evidence, rows, contrast.terms, measure)
            masks = measure.protocol == "masks"
            methods = [row.method for place in taken if (row := rows.get(place)) and row.method and not masks]
            asked = gates(evidence, methods, evidence.shared)
            first = evidence.runs(rows[taken[0]].method, measure) if values else None
            best_ones = [place for (_, term), place in zip(contrast.terms, taken, strict=False) if isinstance(term, Best)]
            line: dict[str, Any] = {
                "contrast": contrast.name,
                "chosen": [" ".join(place) for place in best_ones],
                "measure": measure.label,
                "unit": "" if masks else "points",
                "cell": first.id if first else None,
                "margin": SHARE if masks else POINTS,
                "withheld": "; ".join(gate.reason for gate in asked if gate.reason),
            }
            found.append(line)
            samples.append(values)
            all_asked += asked
    results = judge_contrasts([(list(values.values()), line["margin"]) for values, line in zip(samples, found, strict=True)])
    for line, values, result in zip(found, samples, results, strict=True):
        withheld = values and (len(values) < evidence.shared or line["withheld"])
        line |= {"effect": result.estimate.mean, "interval": result.estimate.interval, "over": result.estimate.over}
        line |= {"n": result.estimate.n, "p": result.p, "p_adjusted": result.adjusted}
        line["state"] = "withheld" if withheld else result.state
    return found, all_asked


def weighted(evidence: Evidence, rows: dict[Place, Row], terms: Terms, measure: Measure) -> tuple[Values, list[Place]]:
    """Return the sum of every replicate that has all of its rows, and those rows; nothing where a best one is unknown."""
    taken = [place for _, term in terms if (place := best(evidence, rows, term) if isinstance(term, Best) else term)]
    if len(taken) < len(terms):
        return {}, []
    known = [values_of(evidence, rows, place, measure) for place in taken]
    shared = [replicate for replicate in evidence.replicates if all(replicate in values for values in known)]
    weights = [weight for weight, _ in terms]
    return {r: sum(w * values[r] for w, values in zip(weights, known, strict=True)) for r in shared}, taken


def values_of(evidence: Evidence, rows: dict[Place, Row], place: Place, measure: Measure) -> Values:
    """Return a row's number by replicate; empty where the study was reduced to other rows, or the dataset lacks it."""
    row = rows.get(place)
    return evidence.values(evidence.runs(row.method, measure), measure.metric) if row else {}


def best(evidence: Evidence, rows: dict[Place, Row], choice: Best) -> Place | None:
    """Return the row of the highest mean; None while one of them lacks a replicate, which could make it the best."""
    found = {place: values_of(evidence, rows, place, choice.by) for place in choice.places}
    if any(len(values) < evidence.shared for values in found.values()):
        return None
    return max(found, key=lambda place: sum(found[place].values()))


def counted(table: dict[str, Any]) -> str:
    """Say how many comparisons were made, and what came of them after adjusting for that."""
    many = f"{table['compared']} comparisons were made"
    return f"{many}; after Holm's adjustment for all of them {table['differ']} differ from 0; {table['negligible']} are negligible."


def lines(table: dict[str, Any]) -> tuple[list[str], list[tuple[str, list[dict[str, Any] | None]]]]:
    """Return the measures, and a line a contrast with its comparison by each; one with its own measure stands under the first."""
    measures = table["measures"]
    rows: dict[str, list[dict[str, Any] | None]] = {}
    for one in table["contrasts"]:
        own = one["measure"] not in measures
        name = f"{one['contrast']} ({one['measure']})" if own else one["contrast"]
        name += f" ({', '.join(one['chosen'])})" if one["chosen"] else ""
        rows.setdefault(name, [None] * len(measures))[0 if own else measures.index(one["measure"])] = one
    return measures, list(rows.items())


def said(one: dict[str, Any] | None) -> str:
    """Return `+1.2 [-3.4, +5.8], p 0.41: open`; a dash where nothing is compared, or where it was not run."""
    if one is None or one["effect"] is None:
        return "\N{EN DASH}" if one is None else one["state"]
    places = 1 if one["unit"] else 3
    shown = f"{number(one['effect'], places, True)} {interval(one['interval'], places, True)}".strip()
    return f"{shown}, {adjusted(one)}{one['state']}"


def adjusted(one: dict[str, Any]) -> str:
    """Return the adjusted p in words, where there is one."""
    p = one["p_adjusted"]
    return "" if p is None else "p < 0.001: " if p < 0.001 else f"p {p:.3f}: " if p < 0.1 else f"p {p:.2f}: "
