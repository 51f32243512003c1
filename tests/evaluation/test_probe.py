"""The probe: both solvers on features with known content, both heads, the scene read-out, and the solver against another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

import fame.evaluation.probe
from fame.backbones import build_encoder
from fame.backbones.given import save_encoder
from fame.config import Augment, Clip, Optim, Probe
from fame.evaluation.logistic import fit_logistic
from fame.evaluation.predictions import metrics_from
from fame.evaluation.probe import FrozenClassifier, probe
from tests.fakes import fake_data, fake_run
from tests.painted import PaintedVideos, Reader, move, predicted
from tests.small import NARROW

CLIP = Clip(frames=2, stride=2, size=16)
LBFGS = Probe(data=fake_data(), clip=CLIP, solver="lbfgs", clips=2)
SGD = Probe(
    data=fake_data(),
    clip=CLIP,
    solver="sgd",
    augment=Augment(grayscale=0, jitter=0, blur=0),
    optim=Optim(lr=30.0, weight_decay=0.0, batch=6, epochs=4, schedule="step", milestones=(3,)),
    clips=1,
)


@pytest.mark.parametrize("config", [LBFGS, SGD], ids=["lbfgs", "sgd"])
def test_features_that_are_the_label_are_right_everywhere(config, evaluated):
    metrics = evaluated(probe, config, Reader(label=1, scene=0))["metrics"]
    for head in ("", "balanced/"):
        assert {metrics[head + name] for name in ("top1", "top1/deranged", "top1/neutral", "val/top1")} == {100.0}
        assert metrics[head + "background_gap"] == 0 and metrics[head + "scene_following"] == 0
    assert metrics["scene/top1"] <= 50


@pytest.mark.parametrize("config", [LBFGS, SGD], ids=["lbfgs", "sgd"])
def test_features_that_are_the_scene_follow_the_scene(config, evaluated):
    metrics = evaluated(probe, config, Reader(label=0, scene=1))["metrics"]
    assert metrics["top1"] == 100 and metrics["top1/deranged"] == 0
    assert metrics["background_gap"] == 100 and metrics["scene_following"] == 100
    assert metrics["scene/top1"] == 100


@pytest.mark.parametrize(("reads", "least"), [("mean_frame", 80), ("frame_difference", 0)])
def test_descriptors_take_an_encoder_s_place(reads, least, tmp_path):
    result = probe(LBFGS.model_copy(update={"reads": reads}), None, fake_run(tmp_path))
    assert set(result["metrics"]) == {"top1"} and len(predicted(tmp_path)) == result["notes"]["folds"][0] == 16
    assert result["metrics"]["top1"] >= least  # the scene goes with the action here, and a direction cannot be told from this


def test_the_balanced_head_uses_the_action_where_the_biased_head_uses_the_scene(tmp_path, evaluated):
    result = evaluated(probe, LBFGS, Reader(label=0.01, scene=1))
    metrics = {name: value for name, value in result["metrics"].items() if not name.startswith("scene/")}
    assert metrics["balanced/top1/deranged"] == 100  # standardised, so even faint features count
    assert metrics["top1/deranged"] < 100
    frame = predicted(tmp_path)
    assert metrics_from(frame) == metrics and len(frame) == 2 * 6 * 12
    assert frame["video"][0].endswith(".mp4") and result["artifacts"] == ["predictions.csv"]


def test_without_balanced_split_there_is_one_head_and_without_scenes_no_scene_measure(tmp_path, evaluated):
    videos = move(PaintedVideos(counterfactual=False), "balanced", "val/balanced")
    videos._tags["scene"] = [""] * len(videos)
    result = evaluated(probe, LBFGS, Reader(label=1, scene=0), videos)
    assert set(result["metrics"]) == {"top1", "val/top1", "val/balanced/top1"}
    assert set(predicted(tmp_path)["head"]) == {"biased"}


def test_sgd_leaves_the_encoder_untouched_its_batch_statistics_too(tmp_path, evaluated):
    encoder = build_encoder(NARROW, seed=1)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    evaluated(probe, SGD, encoder)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert not FrozenClassifier(encoder, 2).train().encoder.training
    assert not (tmp_path / "checkpoint.pt").exists() and not list(tmp_path.glob("head-*"))


def test_a_break_in_the_second_head_does_not_cost_the_first(tmp_path, monkeypatch, evaluated):
    whole = evaluated(probe, SGD, build_encoder(NARROW, seed=1), folder="whole")
    trained: list[str] = []
    original = fame.evaluation.probe.train_classifier

    def breaking(*given: Any, **how: Any) -> Any:
        if how["purpose"] == "probe/balanced" and "probe/balanced" not in trained:
            trained.append(how["purpose"])
            raise KeyboardInterrupt
        trained.append(how["purpose"])
        return original(*given, **how)

    monkeypatch.setattr("fame.evaluation.probe.train_classifier", breaking)
    with pytest.raises(KeyboardInterrupt):
        evaluated(probe, SGD, build_encoder(NARROW, seed=1), folder="broken")
    resumed = evaluated(probe, SGD, build_encoder(NARROW, seed=1), folder="broken")
    assert trained == ["probe/biased", "probe/balanced", "probe/balanced"]
    assert resumed == whole
    trained.clear()
    with pytest.raises(KeyboardInterrupt):
        evaluated(probe, SGD, build_encoder(NARROW, seed=1), folder="other")
    evaluated(probe, SGD, build_encoder(NARROW, seed=2), folder="other")
    assert trained[-2:] == ["probe/biased", "probe/balanced"], "the head of another encoder is not used"
    assert predicted(tmp_path / "broken").equals(predicted(tmp_path / "whole"))


def test_a_stage_without_an_encoder_says_so_and_a_saved_one_is_read(tmp_path):
    run = fake_run(tmp_path, PaintedVideos(counterfactual=False))
    with pytest.raises(ValueError, match="given none"):
        probe(LBFGS, None, run)
    save_encoder(build_encoder(NARROW, seed=3), NARROW, tmp_path / "encoder.pt")
    assert "top1" in probe(LBFGS, tmp_path / "encoder.pt", run)["metrics"]


def problem(samples: int = 30, dim: int = 5, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.Generator().manual_seed(4)
    labels = torch.randint(0, classes, (samples,), generator=drawn)
    features = torch.randn(samples, 2, dim, generator=drawn) + labels[:, None, None] * torch.linspace(-1, 1, dim)
    return features, labels


def test_the_solver_reaches_the_minimum_that_scipy_finds():
    features, labels = problem()
    head, facts = fit_logistic(features, labels, 3, l2=1e-2)
    samples = features.reshape(-1, 5).double().numpy()
    inputs = (samples - samples.mean(0)) / samples.std(0)
    targets = labels.repeat_interleave(2).numpy()

    def objective(flat: np.ndarray) -> float:
        weight, bias = flat[:15].reshape(3, 5), flat[15:]
        logits = inputs @ weight.T + bias
        likelihood = logits[np.arange(len(targets)), targets] - np.log(np.exp(logits).sum(1))
        return float(-likelihood.mean() + 1e-2 / 2 * (weight**2).sum())

    found = minimize(objective, np.zeros(18), method="BFGS", options={"gtol": 1e-7})
    assert facts["loss"] == pytest.approx(found.fun, abs=1e-8) and facts["gradient"] < 1e-5
    np.testing.assert_allclose(head.weight.numpy(), found.x[:15].reshape(3, 5), atol=1e-3)


def test_scale_and_offset_of_the_features_do_not_matter():
    features, labels = problem()
    other = features * torch.tensor([1e-3, 1.0, 1e3, 7.0, 0.1]) + torch.tensor([0.0, 5.0, -100.0, 1.0, 3.0])
    a, b = (fit_logistic(given, labels, 3, l2=1e-3)[0](given).softmax(-1) for given in (features, other))
    torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


def test_constant_features_have_no_influence_and_give_the_prior():
    labels = torch.tensor([0, 0, 0, 1])
    head, _ = fit_logistic(torch.full((4, 1, 3), 0.1), labels, 2, l2=1e-3)
    shares = head(torch.full((1, 3), 123.0)).softmax(-1)[0]
    torch.testing.assert_close(shares, torch.tensor([0.75, 0.25], dtype=torch.float64), atol=1e-4, rtol=0)


def test_separable_samples_without_a_penalty_come_to_an_end():
    head, facts = fit_logistic(torch.tensor([[[-1.0]], [[1.0]]]), torch.tensor([0, 1]), 2, l2=0.0)
    assert facts["accuracy"] == 100 and torch.isfinite(head.weight).all()


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match="no features"):
        fit_logistic(torch.empty(0, 1, 3), torch.empty(0, dtype=torch.long), 2, l2=0.1)
