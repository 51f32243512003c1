"""Momentum contrast: loss, queue, momentum encoder, and the released code's symmetric turns."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from fame.backbones import build_encoder
from fame.config import MoCo
from fame.method.moco import MomentumContrast, info_nce, statistics
from tests.small import NARROW, Plain, seeded


def contrast(**changes) -> MomentumContrast:
    torch.manual_seed(0)
    return MomentumContrast(Plain(), MoCo(**{"dim": 5, "queue": 16, "momentum": 0.9, **changes}), seed=3)


def views(batch: int = 4):
    return torch.randn(batch, 3, 2, 4, 4), torch.randn(batch, 3, 2, 4, 4)


def test_info_nce_golden():
    """Own key at cosine 1, two negatives at 0 and -1, temperature 0.5: the loss is log(1 + e^-2 + e^-4)."""
    points = torch.tensor([[1.0, 0.0]])
    loss, right = info_nce(points, points, torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), 0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-2) + math.exp(-4)), abs=1e-6)
    assert right.item() == 1.0
    _, wrong = info_nce(points, torch.tensor([[0.0, 1.0]]), torch.tensor([[0.6, 0.8]]), 0.5)
    assert wrong.item() == 0.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_queue_is_a_ring(sizes):
    model = contrast(queue=7)
    before, expected = model.queue.clone(), list(range(-7, 0))
    position, value = 0, 0
    for size in sizes:
        model.enqueue(torch.arange(value, value + size).float()[:, None].expand(size, 5))
        for _ in range(size):
            expected[position % 7], position, value = value, position + 1, value + 1
    for row, number in zip(model.queue, expected, strict=True):
        assert torch.equal(row, before[number + 7] if number < 0 else torch.full((5,), float(number)))
    assert model.position.item() == position % 7


def test_batch_longer_than_the_queue_is_refused():
    with pytest.raises(ValueError, match="batch of 5 does not fit in a queue of 4"):
        contrast(queue=4)(*views(5))


@pytest.mark.parametrize("symmetric", [True, False])
def test_momentum_encoder_moves_once_a_step(symmetric):
    model = contrast(symmetric=symmetric)
    with torch.no_grad():
        for weight in model.query.parameters():
            weight.add_(1.0)
    before = [weight.clone() for weight in model.key.parameters()]
    model(*views())
    for old, now, query in zip(before, model.key.parameters(), model.query.parameters(), strict=True):
        assert torch.allclose(now, 0.9 * old + 0.1 * query, atol=1e-6)  # twice would be 0.81 and 0.19


@pytest.mark.parametrize(
    ("symmetric", "own_key"), [(True, True), (True, False), (False, True)], ids=["symmetric", "without own key", "one turn"]
)
def test_loss_and_gradient_are_those_of_a_plain_formulation(symmetric, own_key):
    """Both turns enqueue, so the second query meets the first key of the very same clip, unless that one negative is left out.

    The queue of 16 goes round within the batch; it is overwritten before the backward pass.
    """
    model = contrast(symmetric=symmetric, own_key=own_key)
    model.position.fill_(14)
    places = [14, 15, 0, 1]
    view0, view1 = views()
    queue = model.queue.clone()
    loss, right = model(view0, view1)
    loss.backward()
    ours = model.query.encoder.layer.weight.grad.clone()
    assert all(weight.grad is None and not weight.requires_grad for weight in model.key.parameters())
    model.zero_grad()
    keys0, keys1 = model.keys(view0), model.keys(view1)
    second = queue.clone()
    second[places] = keys1
    turns = [(view0, keys1, queue, False), (view1, keys0, second, not own_key)][: 1 + symmetric]
    losses, won = [], []
    for view, keys, negatives, hides in turns:
        for point, key, own in zip(model.query(view), keys, places, strict=True):
            others = torch.cat([negatives[:own], negatives[own + 1 :]]) if hides else negatives
            logits = torch.cat([(point @ key)[None], others @ point])[None] / 0.1
            losses.append(functional.cross_entropy(logits, torch.zeros(1, dtype=torch.long)))
            won.append(float(logits.argmax() == 0))
    torch.stack(losses).mean().backward()
    assert loss.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)
    assert right.item() == pytest.approx(sum(won) / len(won), abs=1e-6)
    assert torch.allclose(ours, model.query.encoder.layer.weight.grad, atol=1e-5)
    assert torch.allclose(model.queue[places], keys1, atol=1e-6)
    assert not symmetric or torch.allclose(model.queue[2:6], keys0, atol=1e-6)
    assert model.position.item() == (14 + 4 * len(turns)) % 16


@pytest.mark.parametrize("key_norm", ["batch", "ema"])
def test_only_running_statistics_keep_the_company_out_of_a_key(key_norm):
    """A key made in its query's own batch carries that batch's statistics: in other company the same clip has another key."""
    model = MomentumContrast(build_encoder(NARROW, 0), MoCo(dim=5, queue=16, key_norm=key_norm), seed=3).train()
    clips = torch.rand(8, 3, 4, 32, 32, generator=seeded(3))
    company = torch.cat([clips[:1], clips[1:] ** 3])
    assert torch.allclose(model.keys(clips)[0], model.keys(company)[0], atol=1e-6) == (key_norm == "ema")


def test_the_momentum_encoder_follows_after_a_change_of_type_and_in_a_copy():
    """Buffers are other tensors then; a copy's momentum encoder follows the copy."""
    encoder = build_encoder(NARROW)
    model = MomentumContrast(encoder, MoCo(queue=8, key_norm="ema", momentum=0.5))
    model.follow()
    model.double()
    for one in (model, copy.deepcopy(model)):
        with torch.no_grad():
            for tensor in (*one.query.parameters(), *statistics(one.query)):
                tensor.add_(1)
        before = [tensor.clone() for tensor in (*one.key.parameters(), *statistics(one.key))]
        one.follow()
        queries = (*one.query.parameters(), *statistics(one.query))
        for old, new, query in zip(before, (*one.key.parameters(), *statistics(one.key)), queries, strict=True):
            assert torch.equal(new, old.lerp(query, 0.5)) and new.dtype == torch.float64
