"""SGD and AdamW with a learning rate per epoch, by the paper's cosine or step schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.nn import Parameter

from fame.config import Optim


def build_optimiser(optim: Optim, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
    """The optimiser over those `parameters` that take gradients."""
    learnt = [parameter for parameter in parameters if parameter.requires_grad]
    if not learnt:
        raise ValueError("no parameter takes a gradient: there is nothing to optimise")
    if optim.kind == "adamw":
        return torch.optim.AdamW(learnt, lr=optim.lr, weight_decay=optim.weight_decay, fused=True)
    if optim.kind != "sgd":
        raise ValueError(f"unknown optimiser {optim.kind!r}; known: sgd, adamw")
    return torch.optim.SGD(learnt, lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay, fused=True)


def follow_weights(optimiser: torch.optim.Optimizer) -> None:
    """Its state stored as the weights are now, in place: a fused step goes through memory in order, whatever the strides say."""
    for weight, state in optimiser.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == weight.shape and value.stride() != weight.stride():
                state[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


def learning_rate(optim: Optim, epoch: int) -> float:
    """The rate of `epoch`, from 0: half a cosine that would reach 0 after the last, or a tenth from each milestone on."""
    if optim.schedule == "cosine":
        return optim.lr * 0.5 * (1 + math.cos(math.pi * epoch / max(1, optim.epochs)))
    if optim.schedule != "step":
        raise ValueError(f"unknown schedule {optim.schedule!r}; known: cosine, step")
    return optim.lr * 0.1 ** sum(epoch >= milestone for milestone in optim.milestones)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
