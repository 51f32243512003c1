"""Derive seeds from study seed, replicate and purpose, never from the cell: methods compared at one replicate are paired."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

STUDY_SEED = 20220621
SELECTION_REPLICATES = 1000  # replicates from here on are selection worlds: tuning may look at them, verdicts may not


@dataclass(frozen=True)
class Seeds:
    """Derive the seeds of one replicate."""

    replicate: int = 0
    study: int = STUDY_SEED

    def of(self, *purpose: str | int) -> int:
        """Return a seed in 0..2^63-1, the same on every machine: `of("order", epoch)`."""
        text = "/".join(str(part) for part in (self.study, self.replicate, *purpose))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1

    def generator(self, *purpose: str | int, device: str | torch.device = "cpu") -> torch.Generator:
        """Return a torch generator on `device`, seeded by `of(*purpose)`."""
        import torch  # here, as whoever only reads results needs seeds' numbers and no torch

        return torch.Generator(device=device).manual_seed(self.of(*purpose))
