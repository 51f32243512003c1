"""Finetuning: what is trained, what is reported (the last epoch), outputs averaged over clips, and a break that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import fame.evaluation.finetune
from fame.backbones import build_encoder
from fame.backbones.given import load_encoder, save_encoder
from fame.config import Augment, Clip, Finetune, Optim
from fame.errors import FameError
from fame.evaluation.features import extract
from fame.evaluation.finetune import classify, finetune
from fame.evaluation.predictions import metrics_from
from tests.fakes import FakeVideos, fake_data, fake_run
from tests.painted import move, predicted
from tests.small import CPU, NARROW, Stopped, breaking, lines

CLIP = Clip(frames=4, stride=1, size=16)
CONFIG = Finetune(
    data=fake_data(),
    clip=CLIP,
    augment=Augment(blur=0, jitter=0, grayscale=0),
    optim=Optim(kind="adamw", lr=1e-3, batch=8, epochs=3),
    dropout=0.3,
    clips=2,
)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    save_encoder(build_encoder(NARROW, seed=5), NARROW, tmp_path / "encoder.pt")
    return tmp_path / "encoder.pt"


def small_videos() -> FakeVideos:
    return FakeVideos(per_class=3, frames=8, size=16)


def test_outputs_not_features_are_averaged_over_clips():
    head = nn.Identity()
    logits = torch.tensor([[[90.0, 0.0], [0.0, 3.0], [0.0, 3.0]]])  # the mean of the logits says 0, of softmax 1
    assert logits.mean(1).argmax(1).tolist() == [0] and classify(head, logits).tolist() == [1]


def test_all_weights_are_trained_and_tested_after_the_last_epoch(encoder, tmp_path, monkeypatch):
    models = []
    original = fame.evaluation.finetune.train_classifier

    def watched(model, *given, **how):
        models.append(model)
        return original(model, *given, **how)

    monkeypatch.setattr("fame.evaluation.finetune.train_classifier", watched)
    videos = small_videos()
    result = finetune(CONFIG, encoder, fake_run(tmp_path / "run", videos))
    assert result["notes"]["reported"] == "last epoch" and result["notes"]["training"]["loss"] > 0
    model = models[0].eval()
    start = load_encoder(encoder).state_dict()
    assert not [name for name, value in model.encoder.named_parameters() if torch.equal(value, start[name])]
    rows = videos.select("test")
    how = {"clip": CLIP, "clips": 2, "augment": CONFIG.augment, "device": CPU}
    with torch.inference_mode():
        logits = model.linear(extract(model.encoder, videos, rows, **how))
    expected = logits.softmax(-1).mean(1).argmax(1)
    frame = predicted(tmp_path / "run")
    assert frame[frame["condition"] == "own"]["predicted"].tolist() == expected.tolist()
    assert metrics_from(frame) == result["metrics"]
    assert {"top1", "val/top1", "top1/deranged", "background_gap", "scene_following"} <= set(result["metrics"])
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def epochs_in(folder: Path) -> list[int]:
    return [line["step"] for line in lines(folder) if line.get("purpose") == "finetune"]


def test_what_was_trained_from_another_encoder_is_not_continued(encoder, tmp_path):
    """As where the encoder was damaged and has been made anew."""
    run = fake_run(tmp_path / "broken", small_videos())
    with pytest.raises(Stopped):
        finetune(CONFIG, encoder, breaking(run))
    save_encoder(build_encoder(NARROW, seed=6), NARROW, encoder)
    whole = finetune(CONFIG, encoder, fake_run(tmp_path / "whole", small_videos()))
    assert finetune(CONFIG, encoder, run) == whole


def test_a_break_during_the_test_does_not_cost_the_training(encoder, tmp_path, monkeypatch):
    run = fake_run(tmp_path / "run", small_videos())
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):

        def interrupted(*given: Any, **how: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr("fame.evaluation.finetune.extract", interrupted)
        finetune(CONFIG, encoder, run)
    finetune(CONFIG, encoder, run)
    assert epochs_in(run.folder) == [1, 2, 3]


def test_the_head_starts_from_the_replicates_seed(encoder, tmp_path):
    none = CONFIG.model_copy(update={"optim": Optim(epochs=0, batch=8)})
    frames = []
    for replicate, folder in ((0, "a"), (0, "b"), (1, "c")):
        finetune(none, encoder, fake_run(tmp_path / folder, small_videos(), replicate=replicate))
        torch.manual_seed(123)  # a global stream that moves on must not matter
        frames.append(predicted(tmp_path / folder))
    assert frames[0].equals(frames[1])
    assert not frames[0].equals(frames[2])


def test_a_set_without_test_videos_is_refused_before_training(encoder, tmp_path):
    videos = move(FakeVideos(per_class=1, frames=8, size=16, counterfactual=False), "test", "train")
    with pytest.raises(FameError, match="'test'"):
        finetune(CONFIG, encoder, fake_run(tmp_path / "run", videos))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
