"""How far a study of several replicates is: which are done, whether the page is interim, and what is missing unevenly.

The number of replicates is fixed beforehand. While some are missing nothing is decided (reports/ledger.py): else one would stop at
the number that happens to please.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from reports.evidence import Evidence
from studies.setting.asked import listed

SHOWN = 4  # kinds of runs that a remark names


def standing(evidence: Evidence) -> dict[str, Any]:
    """`planned`, `done` and `begun` replicates; `fixed`, the scale's own number; `interim`, the words where some are missing, else
    ""; `remarks`, a sentence each.

    A replicate is done when all its runs are finished, and begun when one is. A single replicate is never interim.
    """
    stages, numbers = evidence.records.listed, evidence.replicates
    finished = {number: {stage for stage in stages if evidence.result(stage, number)} for number in numbers}
    done = [number for number in numbers if len(finished[number]) == len(stages)]
    begun = [number for number in numbers if finished[number]]
    interim = f"interim: {len(done)} of {len(numbers)} replicates" if len(done) < len(numbers) and len(numbers) > 1 else ""
    somewhere = set().union(*finished.values())
    remarks = [_few(evidence)]
    for number in begun if len(begun) > 1 else ():
        lost = [stage for stage in stages if stage in somewhere - finished[number]]
        failed = sum(evidence.store.failure(stage, number) is not None for stage in lost)
        if lost:
            kinds = Counter(stages[stage].label for stage in lost).most_common()
            named = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in kinds[:SHOWN])
            more = f" and {len(kinds) - SHOWN} other kinds" if len(kinds) > SHOWN else ""
            why = f", {failed} of them failed" if failed else ""
            remarks.append(f"Replicate {number} lacks {len(lost)} runs that other replicates have{why}: {named}{more}.")
    return {
        "planned": list(numbers),
        "done": done,
        "begun": begun,
        "fixed": evidence.about["fixed"],
        "interim": interim,
        "remarks": [remark for remark in remarks if remark],
    }


def _few(evidence: Evidence) -> str:
    """Where a scale of the claims is run with another number of replicates than its own."""
    fixed, n = evidence.about["fixed"], len(evidence.replicates)
    if fixed == 1 or n == fixed:
        return ""
    which = f"{n} replicate{'s' if n > 1 else ''} ({listed(evidence.replicates)})"
    than = "fewer" if n < fixed else "more"
    return f"This study has {which}, {than} than the {fixed} that were fixed for the {evidence.about['scale']} scale beforehand."
