"""FAME: contrastive video representation learning by foreground-background merging (Ding et al., CVPR 2022).

The method by itself, for anybody's training loop: only torch and pydantic are needed, for encoders torchvision too. The names are
looked up when they are used (PEP 562), so that a command which only reads results does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fame.backbones.given import load_encoder
    from fame.method.masks import foreground_mask, mask_maps
    from fame.method.merging import ForegroundBackgroundMerge, erase_background

__all__ = ["ForegroundBackgroundMerge", "erase_background", "foreground_mask", "load_encoder", "mask_maps"]

_HOME = {
    "ForegroundBackgroundMerge": "fame.method.merging",
    "erase_background": "fame.method.merging",
    "foreground_mask": "fame.method.masks",
    "load_encoder": "fame.backbones.given",
    "mask_maps": "fame.method.masks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fame' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
