"""Files of weights: encoders, states of training, foreign files."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from torch import nn

from fame.backbones import build_encoder
from fame.backbones.checkpoint import TrainingState, read_weights, save_encoder
from fame.backbones.given import load_given
from fame.config import Backbone
from fame.errors import FameError
from fame.files import sha256_of
from tests.fakes import fake_run

torch.set_num_threads(1)
NARROW = Backbone(name="r2plus1d_narrow", width=4)


def notes(run) -> list[str]:
    path = run.folder / "metrics.jsonl"
    return [json.loads(line).get("note", "") for line in path.read_text().splitlines()] if path.exists() else []


def test_unreadable_files_are_one_clear_line(tmp_path):
    damaged = tmp_path / "damaged.pt"
    save_encoder(build_encoder(NARROW), NARROW, damaged)
    assert [path.name for path in tmp_path.iterdir()] == ["damaged.pt"]  # no half-written neighbour is left
    damaged.write_bytes(damaged.read_bytes()[:5000])
    torch.save(torch.zeros(1), tmp_path / "tensor.pt")
    for name, told in (("absent", "no file of weights"), ("damaged", "damaged"), ("tensor", "not a dictionary")):
        with pytest.raises(FameError, match=told):
            read_weights(tmp_path / f"{name}.pt")


class Trap:
    """A pickle that would write a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_file_that_holds_code_runs_none(tmp_path):
    (tmp_path / "trap.pt").write_bytes(pickle.dumps({"state_dict": Trap(tmp_path / "sprung")}))
    torch.save({"state_dict": Trap(tmp_path / "sprung")}, tmp_path / "zipped.pt")
    for name in ("trap.pt", "zipped.pt"):
        with pytest.raises(FameError, match="code"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def training(run, identity="a"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimiser, TrainingState(run, identity, model, optimiser)


def test_state_restores_weights_statistics_and_optimiser(tmp_path):
    run = fake_run(tmp_path)
    model, optimiser, state = training(run)
    assert state.restore() == (0, {})
    for _ in range(2):
        model(torch.randn(4, 3)).square().sum().backward()
        optimiser.step()
    state.save(2, {"loss": 1.5})
    again, other, restored = training(run)
    assert restored.restore() == (2, {"loss": 1.5})
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    moments = other.state_dict()["state"][0]
    assert torch.equal(moments["exp_avg"], optimiser.state_dict()["state"][0]["exp_avg"]) and int(moments["step"]) == 2
    state.clear()
    state.clear()
    assert training(run)[2].restore() == (0, {})


def test_a_state_is_written_after_a_while_or_when_it_is_the_last(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fame.backbones.checkpoint.EVERY", 5.0)
    monkeypatch.setattr("fame.backbones.checkpoint.time.monotonic", lambda: now[0])
    run = fake_run(tmp_path)
    state = training(run)[2]
    for epoch, passed, written in ((1, 3, 0), (2, 3, 2), (3, 4, 2), (4, 2, 4), (5, 0, 4)):
        now[0] += passed
        run.log(step=epoch, steps=6)
        state.save(epoch, {})
        assert (torch.load(state.path, weights_only=True)["epochs"] if written else 0) == written
    assert training(run)[2].restore() == (4, {})
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    state.save(6, {}, last=True)
    assert training(run)[2].restore() == (6, {})


@pytest.mark.parametrize("harm", ["another", "replicate", "truncated", "changed", "empty", "incomplete", "misshapen"])
def test_a_checkpoint_that_does_not_belong_is_passed_over_with_a_note(tmp_path, harm):
    run = fake_run(tmp_path)
    model, _, state = training(run)
    state.save(2, {"loss": 1.0})
    content = torch.load(state.path, weights_only=True)
    if harm == "truncated":
        state.path.write_bytes(state.path.read_bytes()[:-200])
    elif harm == "changed":
        raw = content["modules"]["0.weight"].numpy().tobytes()
        state.path.write_bytes(state.path.read_bytes().replace(raw, raw[:-1] + bytes([raw[-1] ^ 1])))
    elif harm == "empty":
        state.path.write_bytes(b"")
    elif harm == "incomplete":
        torch.save({key: value for key, value in content.items() if key != "epochs"}, state.path)
    elif harm == "misshapen":
        content["modules"]["1.weight"] = torch.zeros(7)
        content["modules"]["0.weight"] += 1
        torch.save(content, state.path)
    later = fake_run(tmp_path, replicate=1) if harm == "replicate" else run
    fresh, _, other = training(later, "b" if harm == "another" else "a")
    assert other.restore() == (0, {})
    assert any("checkpoint.pt is ignored" in note for note in notes(run))
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), model.parameters(), strict=True))  # untouched by the attempt


# ---------------------------------------------------------------- given weights


def save(path, weights):
    torch.save(weights, path)
    return sha256_of(path)


def wrapped(prefix):
    return {f"{prefix}{name}": value for name, value in build_encoder(NARROW, seed=9).state_dict().items()}


@pytest.mark.parametrize("prefix", ["", "module.", "encoder_q.", "module.encoder_q.", "encoder.", "backbone.", "module.backbone."])
@pytest.mark.parametrize("container", [None, "state_dict", "model"])
def test_usual_prefixes_are_understood(tmp_path, prefix, container):
    path = tmp_path / "given.pt"
    weights = {
        **wrapped(prefix),
        "module.queue": torch.zeros(3),
        "module.encoder_k.stem.0.weight": torch.zeros(1),
        "fc.weight": torch.ones(1),
    }
    digest = save(path, weights if container is None else {container: weights, "epoch": 3})
    encoder = build_encoder(NARROW, seed=1)
    keys = load_given(encoder, path, digest)
    expected = build_encoder(NARROW, seed=9).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in encoder.state_dict().items())
    assert keys["left"] == ["fc.weight", "module.encoder_k.stem.0.weight", "module.queue"]
    assert keys["used"] == sorted(wrapped(prefix))


def test_own_files_torchvisions_names_and_old_files_are_understood(tmp_path):
    path = tmp_path / "given.pt"
    save_encoder(build_encoder(NARROW, seed=9), NARROW, path)
    encoder = build_encoder(NARROW, seed=1)
    load_given(encoder, path, sha256_of(path))
    assert torch.equal(encoder.stem[0].weight, build_encoder(NARROW, seed=9).stem[0].weight)
    old = {name: value for name, value in wrapped("").items() if not name.endswith("num_batches_tracked")}
    load_given(encoder, path, save(path, old))
    separable = Backbone(name="s3d")
    theirs = {name.replace("trunk.", "features.", 1): value for name, value in build_encoder(separable, 2).state_dict().items()}
    s3d = build_encoder(separable, 1)
    assert load_given(s3d, path, save(path, theirs))["left"] == []
    assert torch.equal(s3d.trunk[2][0].weight, build_encoder(separable, 2).trunk[2][0].weight)


def test_weights_that_do_not_fit_are_listed(tmp_path):
    path = tmp_path / "given.pt"
    weights = wrapped("module.")
    del weights["module.stem.1.bias"]
    weights["module.stem.0.weight"] = torch.zeros(2, 3, 1, 7, 7)
    encoder = build_encoder(NARROW)
    before = encoder.stem[3].weight.clone()
    with pytest.raises(FameError) as caught:
        load_given(encoder, path, save(path, weights))
    assert "module.stem.0.weight is (2, 3, 1, 7, 7) and should be (4, 3, 1, 7, 7)" in str(caught.value)
    assert "stem.1.bias is missing" in str(caught.value)
    assert torch.equal(encoder.stem[3].weight, before)  # nothing half loaded
    with pytest.raises(FameError, match=r"and \d+ more"):
        load_given(encoder, path, save(path, {"conv3d_1a_7x7.conv3d.weight": torch.zeros(1)}))


def test_the_hash_is_checked(tmp_path):
    path = tmp_path / "given.pt"
    with pytest.raises(FameError, match="no given weights"):
        load_given(build_encoder(NARROW), path, "0" * 64)
    save(path, wrapped(""))
    with pytest.raises(FameError, match="the cell names 000000000000"):
        load_given(build_encoder(NARROW), path, "0" * 64)
