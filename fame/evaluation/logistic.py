"""Fit multinomial logistic regression with an l2 penalty to convergence, by L-BFGS in float64 on the CPU.

    minimise over W, b:   mean over samples of -log softmax(W z + b)[label]  +  l2/2 |W|^2,      z = (x - mean) / std

With l2 = 0 and separable samples there is no finite minimum: the solver then stops after `MAX_STEPS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.nn.functional import one_hot

MAX_STEPS = 1000
GRADIENT = 1e-6  # largest component of the gradient at which the solver stops


@dataclass(frozen=True)
class Standardised:
    """Features (..., dim) -> logits (..., classes): standardise with the training statistics, then a linear layer."""

    mean: Tensor
    std: Tensor
    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        return (features.to(self.mean) - self.mean) / self.std @ self.weight.T + self.bias


def fit_logistic(features: Tensor, labels: Tensor, classes: int, l2: float) -> tuple[Standardised, dict[str, Any]]:
    """Fit a classifier to clip features (N, clips, dim), one label (N,) a video; accuracy in percent. ValueError for no samples."""
    samples = features.reshape(-1, features.shape[-1]).double()
    if not len(samples):
        raise ValueError("no features to fit a classifier to")
    targets = labels.repeat_interleave(features.shape[1])
    mean, std = samples.mean(dim=0), samples.std(dim=0, correction=0)
    scale = samples.abs().amax(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    std = torch.where(std > 1e-7 * scale, std, torch.inf)  # features are float32: less than that is rounding, which inf sets to 0
    inputs = (samples - mean) / std
    hot = one_hot(targets, classes).double()

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weight, bias = _parts(flat, classes)
        logs = torch.addmm(bias, inputs, weight.T).log_softmax(dim=1)
        pull = (logs.exp() - hot) / len(inputs)  # of the logits: predicted less true
        loss = -float((logs * hot).sum()) / len(inputs) + l2 / 2 * float(weight.square().sum())
        return loss, torch.cat([(pull.T @ inputs + l2 * weight).flatten(), pull.sum(dim=0)]).numpy()

    limits = {"maxiter": MAX_STEPS, "maxfun": 2 * MAX_STEPS, "maxcor": 20, "gtol": GRADIENT, "ftol": 1e-14}
    start = np.zeros(classes * (inputs.shape[1] + 1))
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=limits)
    head = Standardised(mean, std, *_parts(found.x, classes))
    right = (head(samples).argmax(dim=-1) == targets).double().mean()
    gradient = float(np.abs(found.jac).max())
    return head, {
        "loss": float(found.fun),
        "steps": int(found.nit),
        "gradient": gradient,
        "accuracy": float(100 * right),
    }


def _parts(flat: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
    """Weights (classes, dim) and offsets (classes,) in one vector, as the solver wants them."""
    both = torch.from_numpy(flat)
    return both[:-classes].reshape(classes, -1), both[-classes:]
