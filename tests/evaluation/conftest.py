"""Run a stage of evaluation with an encoder whose answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fame.backbones import Encoder
from tests.fakes import FakeVideos, fake_run
from tests.painted import PaintedVideos, opens


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """A function of stage, configuration, encoder and videos (None: painted ones) that gives the result; files lie in `folder`."""

    def result(stage: Any, config: Any, encoder: Encoder, videos: FakeVideos | None = None, folder: str = ".") -> dict[str, Any]:
        monkeypatch.setattr("fame.evaluation.features.open_encoder", opens(encoder))
        run = fake_run(tmp_path / folder, videos or PaintedVideos())
        return stage(config, run.folder / "encoder.pt", run)

    return result
