"""Measure the temporal kernels of an encoder in layer1..layer4, and sample their weights for the violins (figure 3).

- `energy/layerN`: share of the kernels' energy that varies in time: 0 averages over time, 1 sees nothing but change.
- `ratio/layerN`: that share over the share at the same initialisation, rebuilt from the replicate's seeds.
- `spread/layerN`: standard deviation of the raw weights, as in the figure; descriptive.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fame.backbones import build_encoder
from fame.config import Kernels
from fame.evaluation.artifacts import write_arrays
from fame.evaluation.features import open_encoder
from fame.run import Run

FILE = "weights.npz"
SAMPLES = 20_000  # weights kept per layer: more than a violin can show


def energy_share(kernels: list[Tensor]) -> float:
    """Return sum |w - mean_t w|^2 / sum |w|^2 over kernels (out, in, k), in 0..1; NaN where all weights are 0."""
    varying = sum(float((w.double() - w.double().mean(dim=-1, keepdim=True)).square().sum()) for w in kernels)
    total = sum(float(w.double().square().sum()) for w in kernels)
    return varying / total if total else float("nan")


def sample(weights: Tensor, most: int = SAMPLES) -> np.ndarray:
    """Return at most `most` weights, drawn by their number alone; every n-th weight might come from some taps only."""
    if len(weights) <= most:
        return weights.numpy()
    chosen = torch.randperm(len(weights), generator=torch.Generator().manual_seed(len(weights)))[:most]
    return weights[chosen.sort().values].numpy()


def kernels(config: Kernels, encoder: Path | None, run: Run) -> dict[str, Any]:
    """Measure the encoder's temporal kernels; writes `weights.npz` (one array a layer) and returns the stage's result."""
    net, backbone = open_encoder(encoder, run)
    start = build_encoder(backbone, run.seeds.of("initialisation")).temporal_kernels()  # as pretraining does
    metrics: dict[str, float] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, tensors in net.temporal_kernels().items():
        weights = torch.cat([w.detach().float().cpu().flatten() for w in tensors])
        metrics[f"energy/{name}"] = energy_share(tensors)
        metrics[f"ratio/{name}"] = metrics[f"energy/{name}"] / energy_share(start[name])
        metrics[f"spread/{name}"] = float(weights.double().std(correction=0))
        arrays[name] = sample(weights)
    return {
        "metrics": metrics,
        "artifacts": [write_arrays(run.folder, FILE, arrays)],
        "notes": {"note": net.kernels_note},
    }
