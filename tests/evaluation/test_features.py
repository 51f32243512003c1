"""Features shared by runs: the same numbers with and without, made once, by nothing but their own file; the disk is bounded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from fame.backbones import Encoder, build_encoder
from fame.backbones.given import save_encoder
from fame.config import Augment, Clip, Probe, Retrieval
from fame.errors import FameError
from fame.evaluation.features import FOLDER, extract, shared_features
from fame.evaluation.probe import probe
from fame.evaluation.retrieval import FILE, retrieval
from tests.fakes import fake_data, fake_run
from tests.painted import PaintedVideos, Reader, opens, predicted
from tests.small import CPU, NARROW

CLIP = Clip(frames=2, stride=2, size=16)
HOW: dict[str, Any] = {"clip": CLIP, "clips": 2, "precision": "fp32"}
PROBE = Probe(data=fake_data(), solver="lbfgs", **HOW)
RETRIEVAL = Retrieval(data=fake_data(), ranks=(1, 5), **HOW)


class Unused(Reader):
    """An encoder that nothing may call."""

    def features(self, clips: Tensor) -> Tensor:
        raise AssertionError("the features were there already")


def stored(manifest: str = "a" * 12, short_side: int = 16) -> PaintedVideos:
    videos = PaintedVideos()
    videos.store = SimpleNamespace(manifest=manifest, short_side=short_side, codec="raw")
    return videos


@pytest.fixture
def videos() -> PaintedVideos:
    return stored()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file that stands for an encoder; only its bytes count, the tests bring the networks."""
    path = tmp_path / "encoder.pt"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def share(tmp_path: Path, videos: PaintedVideos, weights: Path) -> Callable[..., Tensor]:
    """Shared features of split `test` by a network, all else given once; keywords replace it."""
    run = replace(fake_run(tmp_path / "run", videos), cache=tmp_path / "cache")

    def share(net: Encoder, **other: Any) -> Tensor:
        given = {"encoder": weights, "videos": videos, "rows": videos.select("test"), **other}
        config = PROBE.model_copy(update={name: value for name, value in other.items() if name in Probe.model_fields})
        return shared_features(net, given["encoder"], given["videos"], given["rows"], config, run)

    return share


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache" / FOLDER).glob("*.npz"))


def test_a_second_reader_gets_the_same_numbers_without_the_encoder(tmp_path, videos, share):
    first = share(Reader(0.1, 0.7))
    alone = extract(Reader(0.1, 0.7), videos, videos.select("test"), device=CPU, **HOW)
    second = share(Unused(0.1, 0.7))
    assert torch.equal(first, alone) and torch.equal(second, alone) and second.dtype == alone.dtype
    assert len(files(tmp_path)) == 1 and not [path for path in files(tmp_path)[0].parent.iterdir() if path.suffix.isdigit()]


def test_probe_and_retrieval_share_and_find_what_they_find_alone(tmp_path, videos, monkeypatch):
    weights = tmp_path / "encoder.pt"
    save_encoder(build_encoder(NARROW, seed=3), NARROW, weights)
    videos.store.paths = [tmp_path / "cache" / f"{row}.npy" for row in range(len(videos.labels))]
    videos_of = {name: fake_run(tmp_path / name, videos) for name in ("probe", "retrieval", "probe alone", "retrieval alone")}
    alone = probe(PROBE, weights, videos_of["probe alone"]), retrieval(RETRIEVAL, weights, videos_of["retrieval alone"])
    assert not files(tmp_path)
    shared = probe(PROBE, weights, replace(videos_of["probe"], cache=tmp_path / "cache"))
    made = len(files(tmp_path))
    monkeypatch.setattr("fame.evaluation.features.open_encoder", opens(Unused(1, 1)))
    found = retrieval(RETRIEVAL, weights, replace(videos_of["retrieval"], cache=tmp_path / "cache"))
    assert [one["metrics"] for one in (shared, found)] == [one["metrics"] for one in alone]
    assert made == len(files(tmp_path)) == 8  # train, balanced, val and five conditions; retrieval reads six of them
    assert predicted(tmp_path / "probe").equals(predicted(tmp_path / "probe alone"))
    assert pd.read_csv(tmp_path / "retrieval" / FILE).equals(pd.read_csv(tmp_path / "retrieval alone" / FILE))


def test_whatever_the_numbers_depend_on_is_told_apart(tmp_path, videos, share, monkeypatch):
    net = Reader(1, 1)
    share(net)
    other = tmp_path / "other.pt"
    other.write_bytes(b"other weights")
    changes: list[dict[str, Any]] = [
        {"encoder": other},
        {"videos": stored("b" * 12)},
        {"videos": stored(short_side=8)},
        {"rows": videos.select("test").flip(0)},
        {"clips": 3},
        {"clip": CLIP.model_copy(update={"stride": 1})},
        {"augment": Augment(mean=(0.43, 0.39, 0.37))},
    ]
    for number, change in enumerate(changes, start=2):
        share(net, **change)
        assert len(files(tmp_path)) == number, change
    share(net, augment=Augment(blur=0.0))  # of an augmentation, mean and std alone matter
    assert len(files(tmp_path)) == len(changes) + 1
    monkeypatch.setattr("fame.evaluation.features.VERSION", 0)
    share(net)
    assert len(files(tmp_path)) == len(changes) + 2


@pytest.mark.parametrize("how", ["cut", "flipped", "foreign"])
def test_a_damaged_or_foreign_file_is_made_again(tmp_path, share, how):
    right = share(Reader(1, 1))
    file = files(tmp_path)[0]
    whole = file.read_bytes()
    place = len(whole) // 3  # in the midst of the numbers
    if how == "foreign":
        np.savez(file, features=np.zeros((12, 2, 14), np.float32), key=np.array("another"))
    else:
        file.write_bytes(whole[:place] + (b"" if how == "cut" else bytes([whole[place] ^ 64]) + whole[place + 1 :]))
    assert torch.equal(share(Reader(1, 1)), right)
    assert torch.equal(share(Unused(1, 1)), right)


def test_of_two_that_want_the_same_one_computes_and_the_other_waits(share):
    entered, going_on = threading.Event(), threading.Event()

    class Slow(Reader):
        def features(self, clips: Tensor) -> Tensor:
            entered.set()
            assert going_on.wait(60)
            return super().features(clips)

    found: dict[str, Tensor] = {}
    first = threading.Thread(target=lambda: found.update(first=share(Slow(1, 1))))
    second = threading.Thread(target=lambda: found.update(second=share(Unused(1, 1))))
    first.start()
    assert entered.wait(60)
    second.start()
    second.join(0.2)
    assert second.is_alive() and not found
    going_on.set()
    first.join(60)
    second.join(60)
    assert torch.equal(found["first"], found["second"])


def test_features_that_are_not_finite_are_not_kept(tmp_path, share):
    class Broken(Reader):
        def features(self, clips: Tensor) -> Tensor:
            return super().features(clips) * torch.inf

    with pytest.raises(FameError, match="not finite"):
        share(Broken(1, 1))
    assert not files(tmp_path)
    assert share(Reader(1, 1)).isfinite().all()


def test_the_folder_is_bounded_and_the_oldest_goes_first(tmp_path, videos, share, monkeypatch):
    share(Reader(1, 1), clips=1)
    size = files(tmp_path)[0].stat().st_size
    monkeypatch.setattr("fame.evaluation.features.LIMIT", 3 * size)
    oldest = files(tmp_path)[0]
    os.utime(oldest, (1, 1))
    for flavour in ("test/deranged", "test/neutral", "test/scene_only"):
        share(Reader(1, 1), clips=1, rows=videos.select(flavour))
    assert len(files(tmp_path)) == 3 and oldest not in files(tmp_path)
    alone = extract(Reader(1, 1), videos, videos.select("test"), clip=CLIP, clips=1, device=CPU)
    assert torch.equal(share(Reader(1, 1), clips=1), alone)


def test_extraction_gives_one_feature_a_clip_in_eval_mode(videos):
    encoder = Reader(1, 1).train()
    rows = videos.select("test")[[3, 0]]
    features = extract(encoder, videos, rows, clip=CLIP, clips=3, device=CPU, batch=4)
    assert features.shape == (2, 3, encoder.dim) and not encoder.training
    assert features[:, 0].argmax(1).tolist() == videos.labels[rows].tolist()
    assert extract(encoder, videos, rows[:0], clip=CLIP, clips=3, device=CPU).shape == (0, 3, encoder.dim)
