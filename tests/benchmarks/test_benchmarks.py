"""The reference mask is right, each figure can be taken, and the command says what is wrong. No speed is tested."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as bench
from benchmarks import reference_mask
from fame import foreground_mask
from fame.errors import FameError
from studies.setting.scales import SMOKE
from tests.method.test_golden import BETAS, KEPT, as_clips, golden, iou, masks_of
from tests.small import CPU


def test_the_reference_mask_is_the_released_codes() -> None:
    stored = golden(KEPT)
    for beta in BETAS:
        assert iou(reference_mask.fame_mask(as_clips(stored["clips"]), beta), masks_of(stored, beta)) >= 0.97


def test_the_reference_and_ours_are_one_algorithm() -> None:
    clips = bench.moving_clips(4, 8, 64)
    mask = reference_mask.fame_mask(clips)
    assert iou(foreground_mask(clips, flavour="official"), mask) >= 0.97
    rows = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    merged = reference_mask.merge(clips, generator=torch.Generator().manual_seed(3))
    assert torch.equal(merged, torch.where(mask[:, None, None].bool(), clips, clips[rows]))


def test_both_steps_train(tmp_path: Path) -> None:
    """Their losses are those of a batch against a queue, and change from step to step: weights are updated."""
    for step in bench.stepping(CPU, SMOKE, tmp_path):
        losses = [step() for _ in range(8)]
        assert all(0 < loss < 20 for loss in losses) and len(set(losses)) == len(losses)


def test_a_figure_is_the_median_of_the_rounds_ratios(monkeypatch, capsys) -> None:
    now = [0.0]

    def work(seconds: float) -> bench.Work:
        return lambda: now.append(now.pop() + seconds)

    monkeypatch.setattr(bench.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(bench, "merging", lambda device: (work(3.0), work(1.0)))
    bench.main(["merge", "--rounds", "2"])
    assert "merge: 3.00 (3.00 to 3.00), 3 s against 1 s" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["nothing"], ["--rounds", "1"], ["--device", "tpu"]])
def test_wrong_use_is_named(words: list[str]) -> None:
    with pytest.raises((SystemExit, FameError)):
        bench.main(words)
