"""Identify a stage by a hash of its resolved configuration and of its upstream's id; the replicate is no part of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from pydantic import TypeAdapter

from fame.config import Evaluation, Pretrain, StageConfig, identified

IDENTITY_VERSION = 1  # of the canonical form below; raised when the same configuration shall count as another


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces; floats as Python prints them, so 0.5 and 0.50 are one."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class Stage:
    """A configuration and the stage before it. `id` is 12 hex digits of the SHA-256 of its canonical JSON."""

    config: Pretrain | Evaluation
    upstream: Stage | None = None

    @property
    def kind(self) -> str:
        return self.config.stage

    @cached_property
    def id(self) -> str:
        return hashed(self)

    def identity(self) -> dict[str, Any]:
        """What is hashed: every default resolved, but for fields that came later and say what was done before."""
        return {
            "identity": IDENTITY_VERSION,
            "config": identified(self.config),
            "upstream": self.upstream.id if self.upstream else None,
        }

    def to_json(self) -> dict[str, Any]:
        """The whole chain, for `config.json` of a run and for the worker that executes it."""
        return {
            "id": self.id,
            "config": self.config.model_dump(mode="json"),
            "upstream": self.upstream and self.upstream.to_json(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Stage:
        """The inverse of `to_json`; raises pydantic's ValidationError on a config from another version of the models."""
        upstream = cls.from_json(value["upstream"]) if value.get("upstream") else None
        return cls(TypeAdapter(StageConfig).validate_python(value["config"]), upstream)

    def chain(self) -> list[Stage]:
        """Upstream first, itself last."""
        return [*(self.upstream.chain() if self.upstream else []), self]


@cache
def hashed(stage: Stage) -> str:
    """Return the stage's id; equal stages, of which every study makes its own, are hashed once a process."""
    return hashlib.sha256(canonical(stage.identity()).encode()).hexdigest()[:12]
