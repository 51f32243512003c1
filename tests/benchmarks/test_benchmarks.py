"""The reference mask is right, each figure can be taken, and the command says what is wrong. No speed is tested."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import figures, reference_mask
from benchmarks.__main__ import main
from benchmarks.figures import moving_clips
from benchmarks.timing import Work, alternate, ratio
from fame import foreground_mask
from studies.setting.scales import SMOKE

GOLDEN = Path(__file__).parents[1] / "golden" / "official_masks_112.npz"
CPU = torch.device("cpu")


def iou(mask: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    a, b = mask.flatten(1).bool(), other.flatten(1).bool()
    return (a & b).sum(1) / (a | b).sum(1)


def test_the_reference_mask_is_the_released_codes() -> None:
    stored = np.load(GOLDEN)
    clips = torch.from_numpy(stored["clips"]).float().div(255).permute(0, 4, 1, 2, 3)
    for beta in (0.3, 0.5, 0.7):
        golden = torch.from_numpy(np.unpackbits(stored[f"mask_beta{beta}"], axis=-1))
        assert iou(reference_mask.fame_mask(clips, beta), golden).min() >= 0.97


def test_the_reference_and_ours_are_one_algorithm() -> None:
    clips = moving_clips(4, 8, 64)
    mask = reference_mask.fame_mask(clips)
    assert iou(foreground_mask(clips, flavour="official"), mask).min() >= 0.97
    rows = torch.randperm(4, generator=torch.Generator().manual_seed(3))
    merged = reference_mask.merge(clips, generator=torch.Generator().manual_seed(3))
    assert torch.equal(merged, torch.where(mask[:, None, None].bool(), clips, clips[rows]))


def test_ratios_are_taken_round_by_round() -> None:
    one = ratio({"slow": [3.0, 12.0, 48.0], "fast": [1.0, 4.0, 16.0]}, "slow", "fast")  # a machine that slows down
    assert (one.median, one.low, one.high, one.rounds, one.seconds) == (3.0, 3.0, 3.0, 3, {"slow": 12.0, "fast": 4.0})
    now = [0.0]

    def work(seconds: float) -> Work:
        return lambda: now.append(now.pop() + seconds)

    assert alternate({"slow": work(3.0), "fast": work(1.0)}, 2, clock=lambda: now[0]) == {"slow": [3.0, 3.0], "fast": [1.0, 1.0]}


def test_both_steps_train(tmp_path: Path) -> None:
    """Their losses are those of a batch against a queue, and change from step to step: weights are updated."""
    for step in figures.steps(CPU, SMOKE, tmp_path).values():
        losses = [step() for _ in range(8)]
        assert all(0 < loss < 20 for loss in losses) and len(set(losses)) == len(losses)


def test_a_checkout_is_measured_against_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Checkouts whose main job does nothing but note its arguments."""
    (tmp_path / "run_study.py").write_text(
        "import pathlib, sys\ndef reproduce_paper(): pathlib.Path('said').write_text(' '.join(sys.argv[1:]))\n"
    )
    shutil.copytree(tmp_path, tmp_path / "ours")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "ROOT", tmp_path / "ours")
        out = tmp_path / "out.json"
        words = ["merge", "reproduce", "--before", str(tmp_path), "--rounds", "1", "--scale", "smoke", "--out", str(out)]
        assert main(words) == 0
    assert [one["rounds"] for one in json.loads(out.read_text())["figures"].values()] == [1, 1]
    assert "reproduce" in capsys.readouterr().out
    for checkout in (tmp_path, tmp_path / "ours"):
        assert (checkout / "said").read_text().startswith("--scale smoke --dataset staged --out ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "unknown figure 'nothing'"),
        (["--rounds", "0"], "--rounds 0"),
        (["--device", "tpu"], "unknown device 'tpu'"),
        (["reproduce"], "--before CHECKOUT"),
        (["reproduce", "--before", "nowhere"], "no checkout"),
        (["--never"], "--never"),
    ],
)
def test_wrong_use_is_one_clear_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) != 0
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
