"""Estimate how much a camera moves from its pictures: the displacement at which the background of two frames agrees best.

The figure is left out of the comparison, not painted over: a painted patch has edges that stand still, and phase correlation
follows them (it found DAVIS's kite-surf, a plain pan, still).
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

SIDE = 48  # pixels of the short side at which motion is measured
REACH = SIDE // 8  # pixels along each axis; a faster camera is found at some displacement within, which is motion enough


def resize(images: Tensor, side: int = SIDE) -> Tensor:
    """Resize float (N, C, H, W) to have the short side at `side`, bilinear with antialiasing."""
    height, width = images.shape[-2:]
    size = (round(height * side / min(height, width)), round(width * side / min(height, width)))
    return images if size == (height, width) else functional.interpolate(images, size, mode="bilinear", antialias=True)


def grey(images: Tensor) -> Tensor:
    """Return luminance (N, H, W) of float (N, 3, H, W) in [0, 1]."""
    return (images * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1)


def camera_motion(pictures: Tensor, figure: NDArray[np.bool_] | None) -> float:
    """Return the median displacement between consecutive pictures in percent of the short side.

    pictures: luminance (T, h, w) in [0, 1], short side SIDE; figure: bool (T, H, W) at native size, left out where it is known.
    NaN where the figure fills every picture.
    """
    seen = torch.ones_like(pictures, dtype=torch.bool)
    if figure is not None:
        seen = resize(torch.from_numpy(figure)[:, None].float())[:, 0] == 0
    both = seen[:-1] & seen[1:]
    moved = [displacement(a, b, m) for a, b, m in zip(pictures[:-1], pictures[1:], both, strict=True) if m.any()]
    return 100 * float(np.median(moved)) / SIDE if moved else float("nan")


def displacement(one: Tensor, other: Tensor, seen: Tensor) -> float:
    """Return by how many pixels (h, w) is displaced in the other: least mean squared difference where both are `seen`."""
    height, width = one.shape
    padded = (height + REACH, width + REACH)
    there = seen.double()
    a, b = ((picture.double() - picture[seen].double().mean()) * there for picture in (one, other))

    def correlate(left: Tensor, right: Tensor) -> Tensor:
        """Sum over x of left(x) right(x + d), for d from -REACH to REACH along both axes."""
        spectra = [torch.fft.rfft2(part, padded) for part in (left, right)]
        return torch.fft.irfft2(spectra[0].conj() * spectra[1], padded).roll((REACH, REACH), (0, 1))[
            : 2 * REACH + 1, : 2 * REACH + 1
        ]

    squares = correlate(a * a, there) + correlate(there, b * b) - 2 * correlate(a, b)
    mean = squares / correlate(there, there).clamp(min=0.5)
    y, x = divmod(int(mean.argmin()), 2 * REACH + 1)
    return float(np.hypot(_lowest(mean[:, x], y) - REACH, _lowest(mean[y], x) - REACH))


def _lowest(line: Tensor, at: int) -> float:
    """Return the place of the minimum near `at`, by the parabola through it and its neighbours."""
    if not 0 < at < len(line) - 1:
        return float(at)
    left, middle, right = (float(value) for value in line[at - 1 : at + 2])
    bend = left - 2 * middle + right
    return at + (left - right) / (2 * bend) if bend > 0 else float(at)
