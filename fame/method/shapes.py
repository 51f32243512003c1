"""What the masks of the ablation are shaped by (paper, table 4): the grid's cells, and the Gaussian at the frame's centre."""

from __future__ import annotations

import torch
from torch import Tensor

GRID = 4  # cells a side


def grid_map(motion: Tensor) -> Tensor:
    """(B, H, W) -> (B, 4, 4): motion pooled over each cell. As a mean: the same order as the paper's sum where cells are equal, and
    where 4 does not divide a side no cell gains by its size."""
    rows = torch.stack([part.mean(1) for part in motion.tensor_split(GRID, dim=1)], 1)
    return torch.stack([part.mean(2) for part in rows.tensor_split(GRID, dim=2)], 2)


def spread_grid(cells: Tensor, height: int, width: int) -> Tensor:
    """(B, 4, 4) -> (B, height, width): each cell's value at its pixels, cells as `grid_map` cuts them."""
    row, column = (_cell_of(side, cells.device) for side in (height, width))
    return cells[:, row][:, :, column]


def gaussian_map(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height, width): exp(-d^2 / 2) with d the distance from the frame's centre in sigmas, sigma a third of each side."""

    def profile(side: int) -> Tensor:
        return torch.exp(-((torch.arange(side, device=device) - (side - 1) / 2) / (side / 3)).square() / 2)

    return profile(height)[:, None] * profile(width)[None]


def _cell_of(side: int, device: torch.device) -> Tensor:
    """The cell each of `side` rows or columns belongs to, as `tensor_split` cuts them: the first side % 4 are one longer."""
    size, longer = divmod(side, GRID)
    position = torch.arange(side, device=device)
    return torch.maximum(position // (size + 1), (position - longer) // size)
