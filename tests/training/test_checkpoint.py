"""States of training: written, restored, passed over."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from fame.training.checkpoint import TrainingState
from tests.fakes import fake_run

torch.set_num_threads(1)


def notes(run) -> list[str]:
    path = run.folder / "metrics.jsonl"
    return [json.loads(line).get("note", "") for line in path.read_text().splitlines()] if path.exists() else []


def training(run, identity="a"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimiser, TrainingState(run, identity, model, optimiser, torch.amp.GradScaler("cpu", enabled=False))


def test_a_state_is_written_after_a_while_or_when_it_is_the_last(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("fame.training.checkpoint.EVERY", 5.0)
    monkeypatch.setattr("fame.training.checkpoint.time.monotonic", lambda: now[0])
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
