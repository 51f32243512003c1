"""Agreement of orders has its known answers, and two folders of runs are compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import validity
from fame.config import VideoData
from fame.errors import FameError
from reports import statistics
from studies.findings.real_video import ABLATIONS
from studies.harness.store import Store
from studies.setting.resolve import Setting
from studies.setting.scales import SMOKE
from tests.filled import put, recorded

QUICK = settings(max_examples=20, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def few() -> Iterator[None]:
    with patch.object(statistics, "RESAMPLES", 40):
        yield


@given(st.lists(st.integers(0, 999), min_size=3, max_size=12, unique=True), *[st.integers(1, 4)] * 3)
@QUICK
def test_the_same_order_is_1_and_the_reversed_one_minus_1(levels: list[int], targets: int, here: int, there: int) -> None:
    level = np.array(levels, dtype=float)
    real = np.tile(level[:, None, None], (1, targets, here)) + 1000 * np.arange(here)  # replicates move all methods alike
    for sign in (1, -1):
        tau, bounds = statistics.agreement(real, sign * np.tile(level[:, None], (1, there)))
        assert [tau, *bounds] == pytest.approx([sign] * 3)


@given(st.integers(0, 10**6))
@QUICK
def test_the_interval_holds_tau_and_noise_widens_it(seed: int) -> None:
    random, level = np.random.default_rng(seed), np.arange(12.0)
    tau, (low, high) = statistics.agreement(level[:, None, None], level[:, None] + random.normal(0, 30, (12, 6)))
    assert -1 <= low <= tau <= high <= 1
    assert high - low > 0.1


def test_two_folders_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = {part: VideoData(kind=kind, manifest="0" * 12) for part, kind in (("source", "pool"), ("f", "target"), ("g", "target"))}
    real, staged = Setting(SMOKE, data, "targets"), Setting(SMOKE)
    for name, setting, replicates in (("real", real, (10, 11, 12)), ("staged", staged, (0, 1))):
        store = Store(tmp_path / name).prepare()
        recorded(setting, (ABLATIONS,), replicates).write(store.out)
        probes = {
            stage: at for at, (_, measure, stage) in enumerate(setting.cells(ABLATIONS)) if stage and measure.metric == "top1"
        }
        for (stage, at), replicate in product(probes.items(), replicates):
            levels = {"top1": at, "top1/deranged": at, "balanced/top1/deranged": -at}
            put(store, stage, replicate, levels)
    validity.main([str(tmp_path / "real"), str(tmp_path / "staged")])
    told = capsys.readouterr().out
    trained = [row for row in ABLATIONS.rows if row.method and row.method.kind != "random"]
    assert f"| Kendall's tau-b, {len(trained)} methods |" in told and "No statement" not in told
    order = "+1.00 [+1.00, +1.00] | \N{MINUS SIGN}1.00 [\N{MINUS SIGN}1.00, \N{MINUS SIGN}1.00] | +1.00 [+1.00, +1.00]"
    assert f"| mean of 2 targets | {order} |" in told
    assert "share: 3 on real video, 2 on staged worlds" in told
    validity.main([str(tmp_path / "real"), str(tmp_path / "staged"), "--target", "g"])
    told = capsys.readouterr().out
    assert f"| g | {order} |" in told and "mean of 2 targets" not in told
    with pytest.raises(FameError, match="no target h"):
        validity.main([str(tmp_path / "real"), str(tmp_path / "staged"), "--target", "h"])
    with pytest.raises(FameError, match="name REAL_OUT, then STAGED_OUT"):
        validity.main([str(tmp_path / "staged"), str(tmp_path / "real")])
