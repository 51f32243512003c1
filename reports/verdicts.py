"""The claims' verdicts for a terminal, as they stand in report.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table


def claims_table(path: Path) -> Table | None:
    """A line a claim and measure; None where report.json cannot be read or holds no claims."""
    try:
        claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    except (OSError, ValueError, KeyError):
        return None
    table = Table("claim", "measured", "effect", "interval", "n", "verdict")
    for claim in claims:
        low, high = claim.get("interval") or (None, None)
        interval = f"{_number(low)} .. {_number(high)}"
        table.add_row(claim["id"], claim["kind"], _number(claim.get("effect")), interval, str(claim.get("n", "")), claim["verdict"])
    return table


def _number(value: Any) -> str:
    return f"{value:+.2f}" if isinstance(value, int | float) else "-"
