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
    if optim.kind == "adamw":
        return torch.optim.AdamW(learnt, lr=optim.lr, weight_decay=optim.weight_decay, fused=True)
    made = torch.optim.SGD(learnt, lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay, fused=True)
    for weight in learnt if optim.momentum else ():
        # torch would take memory as it finds it for the momentum, where float16 leaves the very first step out
        made.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return made


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def learning_rate(optim: Optim, epoch: int) -> float:
    """The rate of `epoch`, from 0: half a cosine that would reach 0 after the last, or a tenth from each milestone on."""
    if optim.schedule == "cosine":
        return optim.lr * 0.5 * (1 + math.cos(math.pi * epoch / max(1, optim.epochs)))
    return optim.lr * 0.1 ** sum(epoch >= milestone for milestone in optim.milestones)
