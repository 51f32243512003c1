"""Settings of every test."""

from __future__ import annotations

import pytest
from hypothesis import settings


@pytest.fixture(autouse=True)
def states_saved_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that break a training off train for less than the seconds between two saved states."""
    monkeypatch.setattr("fame.checkpoint.EVERY", 0.0)


# a property's first example pays for imports, and machines are shared: how long one takes proves nothing
settings.register_profile("fame", deadline=None)
settings.load_profile("fame")
