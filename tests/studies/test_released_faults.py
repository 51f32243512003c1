"""The released code's faults, asked for by name: what they change, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import fame.evaluation.finetune
import fame.evaluation.probe
import fame.training.supervised
from fame.backbones import build_encoder
from fame.backbones.checkpoint import load_encoder, save_encoder
from fame.config import MEAN, STD, Augment, Backbone, Clip, Finetune, Optim, Probe, Retrieval
from fame.evaluation.finetune import finetune
from fame.evaluation.predictions import read_predictions
from fame.evaluation.probe import FrozenClassifier, probe
from fame.evaluation.retrieval import retrieval
from fame.method.augment import of_process
from fame.method.colour import draw_colours
from fame.seeds import Seeds
from studies.setting.protocols import IMAGENET
from tests.fakes import FakeVideos, fake_data, fake_run

CLIP = Clip(frames=2, stride=2, size=16)
PLAIN = Augment(grayscale=0, jitter=0, blur=0)
SGD = Probe(data=fake_data(), clip=CLIP, solver="sgd", augment=PLAIN, optim=Optim(lr=0.5, batch=6, epochs=2), clips=1)
LBFGS = SGD.model_copy(update={"solver": "lbfgs"})


def small_videos() -> FakeVideos:
    return FakeVideos(per_class=2, frames=8, size=16)


def encoder_file(folder: Path, name: Any = "r2plus1d_narrow") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    backbone = Backbone(name=name, width=4)
    save_encoder(build_encoder(backbone, 7), backbone, folder / "encoder.pt")
    return folder / "encoder.pt"


def pixels(clips: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    """Whether clips (B, 3, T, H, W) lie in [0, 1] once this normalisation is undone."""
    back = clips * torch.tensor(std).view(3, 1, 1, 1) + torch.tensor(mean).view(3, 1, 1, 1)
    return bool((back > -1e-4).all() and (back < 1 + 1e-4).all())


def is_raw(clips: Tensor) -> bool:
    return bool((clips >= 0).all() and (clips <= 1).all())


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Tensor], list[Tensor]]:
    """Every batch that the network was given, in training by SGD and for features."""
    trained: list[Tensor] = []
    tested: list[Tensor] = []
    forward = FrozenClassifier.forward

    def watched(self: FrozenClassifier, clips: Tensor) -> Tensor:
        trained.append(clips.clone())
        return forward(self, clips)

    normalise: Callable[..., Tensor] = fame.evaluation.features.normalise

    def normalised(clips: Tensor, augment: Augment) -> Tensor:
        tested.append(normalise(clips, augment))
        return tested[-1]

    monkeypatch.setattr(FrozenClassifier, "forward", watched)
    monkeypatch.setattr("fame.evaluation.features.normalise", normalised)
    return trained, tested


def test_training_clips_of_the_probe_go_without_mean_and_std_and_test_clips_do_not(
    seen: tuple[list[Tensor], list[Tensor]], tmp_path: Path
) -> None:
    trained, tested = seen
    encoder = encoder_file(tmp_path)
    for normalised in (True, False):
        trained.clear()
        tested.clear()
        probe(SGD.model_copy(update={"normalised": normalised}), encoder, fake_run(tmp_path / str(normalised), small_videos()))
        assert trained and all(is_raw(clips) is not normalised for clips in trained)
        assert normalised is all(pixels(clips, MEAN, STD) and not is_raw(clips) for clips in trained)
        on_tests = tested[:6]  # the five conditions and val; what follows is the scene read-out
        assert len(on_tests) == 6 and all(pixels(clips, MEAN, STD) and not is_raw(clips) for clips in on_tests)


def test_the_converged_solver_is_given_training_features_of_such_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[Tensor] = []
    fit = fame.evaluation.probe.fit_logistic
    monkeypatch.setattr(
        "fame.evaluation.probe.fit_logistic", lambda features, *rest: (fitted.append(features), fit(features, *rest))[1]
    )
    encoder, videos = encoder_file(tmp_path), small_videos()
    net = load_encoder(encoder)[0].eval()
    probe(LBFGS.model_copy(update={"normalised": False}), encoder, fake_run(tmp_path / "run", videos))
    how: dict[str, Any] = {"clip": CLIP, "clips": 1, "device": torch.device("cpu")}
    raw = Augment(mean=(0, 0, 0), std=(1, 1, 1))
    expected = fame.evaluation.probe.extract(net, videos, videos.select("train"), augment=raw, **how)
    assert torch.allclose(fitted[0], expected, atol=1e-6)
    assert not torch.allclose(expected, fame.evaluation.probe.extract(net, videos, videos.select("train"), **how), atol=1e-3)


@pytest.mark.parametrize(("name", "moves"), [("r2plus1d_narrow", False), ("s3d", True)])
def test_weights_move_of_the_networks_that_are_named_and_of_no_other(
    name: Any, moves: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3D stands for I3D, which needs larger clips than a test can afford; I3D itself: the next but one."""
    models: list[FrozenClassifier] = []
    train = fame.evaluation.probe.train_classifier
    monkeypatch.setattr(
        "fame.evaluation.probe.train_classifier", lambda model, *a, **k: (models.append(model), train(model, *a, **k))[1]
    )
    encoder = encoder_file(tmp_path, name)
    before = load_encoder(encoder)[0].state_dict()
    clip = CLIP if name != "s3d" else Clip(frames=16, stride=1, size=32)
    videos = FakeVideos(per_class=1, frames=16, size=32) if name == "s3d" else small_videos()
    config = SGD.model_copy(update={"unfrozen": ("s3d", "i3d"), "clip": clip, "optim": Optim(lr=0.01, batch=4, epochs=1)})
    result = probe(config, encoder, fake_run(tmp_path / "run", videos))
    assert ("unfrozen" in result["notes"]) is moves and {"top1", "balanced/top1"} <= set(result["metrics"])
    assert len(models) == 2  # a head on biased labels, a head on balanced ones
    for model in models:
        after = model.encoder.state_dict()
        learnt = {key for key, _ in model.encoder.named_parameters()}
        still = {key for key, value in before.items() if torch.equal(value, after[key])}
        assert set(before) - learnt <= still, "batch statistics stand still in eval mode"
        assert (len(learnt - still) > 0.9 * len(learnt)) if moves else learnt <= still
    assert not list((tmp_path / "run").glob("head-*.pt"))


def test_a_network_that_trains_along_starts_anew_for_each_head_and_is_tested_by_its_own_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, videos = encoder_file(tmp_path), small_videos()
    models: list[FrozenClassifier] = []
    train = fame.evaluation.probe.train_classifier
    monkeypatch.setattr(
        "fame.evaluation.probe.train_classifier", lambda model, *a, **k: (models.append(model), train(model, *a, **k))[1]
    )
    config = SGD.model_copy(update={"unfrozen": ("r2plus1d_narrow",), "optim": Optim(lr=0.005, batch=4, epochs=1)})
    probe(config, encoder, fake_run(tmp_path / "run", videos))
    assert models[0].encoder is not models[1].encoder
    frame = read_predictions(tmp_path / "run")
    rows = videos.select("test")
    for model, head in zip(models, ("biased", "balanced"), strict=True):
        features = fame.evaluation.probe.extract(model.encoder, videos, rows, clip=CLIP, clips=1, device=torch.device("cpu"))
        expected = fame.evaluation.probe.classify(model.linear, features).tolist()
        assert frame[(frame["condition"] == "own") & (frame["head"] == head)]["predicted"].tolist() == expected


def test_i3d_is_the_network_that_the_released_code_forgets(tmp_path: Path) -> None:
    from studies.setting.protocols import OFFICIAL

    assert dict(OFFICIAL.changes("probe"))["unfrozen"] == ("i3d",)
    free = FrozenClassifier(build_encoder(Backbone(name="i3d"), 0), 3, free=True).train()
    frozen = FrozenClassifier(build_encoder(Backbone(name="i3d"), 0), 3).train()
    assert all(weight.requires_grad for weight in free.encoder.parameters())
    assert not any(weight.requires_grad for weight in frozen.encoder.parameters())
    assert not any(module.training for model in (free, frozen) for module in model.encoder.modules())


def test_retrieval_normalises_with_what_it_is_told(seen: tuple[list[Tensor], list[Tensor]], tmp_path: Path) -> None:
    _, tested = seen
    encoder = encoder_file(tmp_path)
    own = Retrieval(data=fake_data(), clip=CLIP, clips=1)
    other = own.model_copy(update={"mean": IMAGENET[0], "std": IMAGENET[1]})
    black = torch.zeros(3)
    for config, (mean, std) in ((own, (MEAN, STD)), (other, IMAGENET)):
        tested.clear()
        retrieval(config, encoder, fake_run(tmp_path / str(mean[0]), small_videos()))
        lowest = (black - torch.tensor(mean)) / torch.tensor(std)
        assert all(pixels(clips, mean, std) for clips in tested)
        found = torch.stack([clips.amin((0, 2, 3, 4)) for clips in tested]).amin(0)
        assert torch.allclose(found, lowest, atol=1e-4)  # figure-only clips hold black


def test_the_test_best_stands_beside_the_last_epoch_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_file(tmp_path)
    config = Finetune(data=fake_data(), clip=CLIP, augment=PLAIN, optim=Optim(lr=0.3, batch=4, epochs=5), clips=2, dropout=0.2)
    plain = finetune(config, encoder, fake_run(tmp_path / "plain", small_videos()))
    looking = config.model_copy(update={"test_every": 2})
    watched = finetune(looking, encoder, fake_run(tmp_path / "watched", small_videos()))
    looks = watched["notes"]["test_best"]["looks"]
    assert list(looks) == [1, 3, 5] and looks[5] == watched["metrics"]["top1"]
    assert watched["metrics"].pop("test_best/top1") == max(looks.values())
    assert looks[watched["notes"]["test_best"]["epoch"]] == max(looks.values())
    assert watched["metrics"] == plain["metrics"] and "test_best" not in plain["notes"]
    assert read_predictions(tmp_path / "watched").equals(read_predictions(tmp_path / "plain"))
    for epochs in (1, 3):  # what was seen on the way is what a run of so many epochs ends with
        shorter = config.model_copy(update={"optim": config.optim.model_copy(update={"epochs": epochs, "schedule": "step"})})
        whole = config.model_copy(update={"optim": config.optim.model_copy(update={"schedule": "step"}), "test_every": 2})
        ended = finetune(shorter, encoder, fake_run(tmp_path / f"short{epochs}", small_videos()))
        passed = finetune(whole, encoder, fake_run(tmp_path / f"whole{epochs}", small_videos()))
        assert passed["notes"]["test_best"]["looks"][epochs] == ended["metrics"]["top1"]


def test_looks_before_a_break_are_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states_saved_each_epoch: None) -> None:
    encoder = encoder_file(tmp_path)
    config = Finetune(data=fake_data(), clip=CLIP, augment=PLAIN, optim=Optim(lr=0.3, batch=4, epochs=4), clips=1, test_every=1)
    whole = finetune(config, encoder, fake_run(tmp_path / "whole", small_videos()))
    run = fake_run(tmp_path / "broken", small_videos())
    predicted, calls = fame.evaluation.finetune._predicted, []

    def breaking(*given: Any) -> Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predicted(*given)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("fame.evaluation.finetune._predicted", breaking)
        finetune(config, encoder, run)
    assert finetune(config, encoder, run) == whole
    assert list(whole["notes"]["test_best"]["looks"]) == [1, 2, 3, 4] and not (run.folder / "test_looks.json").exists()


def test_one_sigma_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    once = Augment(blur_once=True)
    seeds = Seeds(3)
    drawn = [of_process(once, seeds.generator("blur")) for _ in range(2)]
    sigmas = {float(sigma) for augment in drawn for sigma in draw_colours(50, augment, torch.Generator().manual_seed(1)).sigma}
    assert len(sigmas) == 1 and 0.1 <= sigmas.pop() <= 2.0
    assert of_process(once, Seeds(4).generator("blur")) != drawn[0]
    plain = Augment()
    assert of_process(plain, seeds.generator("blur")) is plain
    every = draw_colours(50, plain, torch.Generator().manual_seed(1))
    assert len(set(every.sigma.tolist())) == 50
    same = draw_colours(50, drawn[0], torch.Generator().manual_seed(1))
    assert torch.equal(every.amounts, same.amounts) and torch.equal(every.blurred, same.blurred)  # the other draws stay paired
