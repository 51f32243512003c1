"""What has been mirrored, as OUT/mlflow.json notes it by address: where nothing is new, MLflow is not even imported."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fame.files import write_json
from studies.tracking.mirror import redacted


class Noted:
    """The notes on one OUT and one address. `local`: the mirror lies in OUT itself; deleted there, what was noted of it is void."""

    def __init__(self, out: Path, uri: str, local: bool) -> None:
        self.out = out
        self.address = redacted(uri)
        self.local = local

    @cached_property
    def _all(self) -> dict[str, Any]:
        """By address: {"runs": {"STAGE/REPLICATE": {"run", "serves"}}, "studies": {NAME: {"run", "digest"}}}."""
        return read_object(self.out / "mlflow.json")  # missing or torn: MLflow is asked instead

    @cached_property
    def _here(self) -> dict[str, Any]:
        if self.local and not (self.out / "mlflow.db").exists():
            self._all.pop(self.address, None)
            shutil.rmtree(self.out / "mlartifacts", ignore_errors=True)
        return self._all.setdefault(self.address, {"runs": {}, "studies": {}})

    @property
    def runs(self) -> dict[str, Any]:
        """By "STAGE/REPLICATE"; what is put in is kept by `save`."""
        return self._here["runs"]

    @property
    def studies(self) -> dict[str, Any]:
        """By name, likewise."""
        return self._here["studies"]

    def save(self) -> None:
        write_json(self.out / "mlflow.json", self._all)

    def is_new(self, key: str, serves: Sequence[str]) -> bool:
        """Whether the run is not mirrored, or not as one that serves all of these studies."""
        noted = self.runs.get(key)
        return noted is None or not set(serves) <= set(noted["serves"])


def digest_of(files: Iterable[Path], rest: Any) -> str:
    """Of the files' names and content and of `rest`: all that a study's mirror is made from."""
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True, default=str).encode())
    for file in files:
        digest.update(f"\n{file.parent.name}/{file.name}\n".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object at `path`; an empty one where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
