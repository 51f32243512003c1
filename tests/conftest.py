"""Settings of every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from fame import fast, plugins

# without a GPU, Triton's interpreter runs the kernels; Triton reads this when it is imported
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")


@pytest.fixture
def on_kernels(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A device that takes the kernels of fame/fast/gpu/: a GPU, or the CPU by Triton's interpreter."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    pytest.importorskip("triton")
    for places in fast.TABLE.values():
        if "cuda" in places:
            monkeypatch.setitem(places, "cpu", places["cuda"])
    return torch.device("cpu")


@pytest.fixture
def repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a GPU's convolutions repeat to the bit."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


@pytest.fixture(autouse=True)
def states_saved_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that break a training off train for less than the seconds between two saved states."""
    monkeypatch.setattr("fame.training.checkpoint.EVERY", 0.0)


@pytest.fixture(autouse=True)
def plugins_forgotten() -> Iterator[None]:
    yield
    for known in plugins.loaded():
        plugins._forget(known.sha256)


# a property's first example pays for imports, and machines are shared: how long one takes proves nothing
settings.register_profile("fame", deadline=None)
settings.load_profile("fame")
