"""Fixtures of the tests of data."""

from __future__ import annotations

import pytest

from tests.videos import write_video


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An avi of six frames."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.avi", 6).read_bytes()
