"""Retrieval: the protocol on features with known neighbours, ties, ranks beyond the gallery, classes that the gallery lacks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.config import Clip, Retrieval
from fame.errors import FameError
from fame.evaluation.retrieval import COLUMNS, FILE, embed, first_right_rank, metrics_from, neighbours, retrieval
from tests.fakes import fake_data
from tests.painted import PaintedVideos, Reader, move

CLIP = Clip(frames=2, stride=2, size=16)
CONFIG = Retrieval(data=fake_data(), clip=CLIP, clips=2, ranks=(1, 5, 50))


def test_features_that_are_the_label_retrieve_it_in_every_scene(tmp_path, evaluated):
    metrics = evaluated(retrieval, CONFIG, Reader(label=1, scene=0))["metrics"]
    assert {metrics[name] for name in ("R@1", "R@1/deranged", "R@1/neutral", "R@1/scene_only")} == {100.0}


def test_features_that_are_the_scene_retrieve_the_own_scene_only(tmp_path, evaluated):
    result = evaluated(retrieval, CONFIG, Reader(label=0, scene=1))
    metrics = result["metrics"]
    assert metrics["R@1"] == 100 and metrics["R@1/deranged"] == 0
    assert result["notes"]["gallery"] == 12 and result["notes"]["capped_ranks"] == [50] and metrics["R@50/deranged"] == 100
    frame = pd.read_csv(tmp_path / FILE, dtype={"rank": "Int64"})
    assert list(frame.columns) == COLUMNS and len(frame) == 5 * 12 and set(frame["condition"]) >= {"own", "deranged"}
    assert metrics_from(frame, CONFIG.ranks, 12) == metrics
    # three videos show the scene, so they come first, then all others, wrong ones first among equals: 12 - 3 wrong, then the right
    assert set(frame[frame["condition"] == "deranged"]["rank"]) == {10}


def test_validation_videos_alone_are_asked_for_a_search(tmp_path, evaluated):
    videos = move(PaintedVideos(), "train", "val", only=3)
    metrics = evaluated(retrieval, CONFIG.model_copy(update={"queries": "val"}), Reader(label=1, scene=0), videos)["metrics"]
    assert {name.partition("/")[2] for name in metrics} == {"val"}


def test_a_class_that_the_gallery_lacks_is_a_miss_with_an_empty_rank(tmp_path, evaluated):
    videos = move(PaintedVideos(counterfactual=False), "train", "val", only=3)
    result = evaluated(retrieval, CONFIG, Reader(label=1, scene=0), videos)
    assert result["metrics"]["R@1"] == 75 and result["metrics"]["R@50"] == 75
    assert result["notes"]["queries_without_gallery_class"] == 3
    frame = pd.read_csv(tmp_path / FILE)
    assert frame["rank"].isna().tolist() == (frame["label"] == 3).tolist()


def test_neighbours_are_the_nearest_of_evenly_spaced_queries(tmp_path):
    videos = PaintedVideos()
    videos.store = SimpleNamespace(paths=[tmp_path / f"videos/{row}.npy" for row in range(len(videos.labels))])
    rows, train = videos.select("test"), videos.select("train")
    gallery, queries = (torch.eye(4)[videos.labels[part]] for part in (train, rows))
    gallery[0] = 0.0  # the first training video is like none
    found = neighbours(videos, rows, queries, train, gallery, "own", tmp_path)
    assert found.groupby("query")["place"].apply(list).map(tuple).unique().tolist() == [(0, 1, 2, 3, 4, 5)]
    assert set(found[found["place"] == 0]["video"]) == set(found["query"]) <= {videos.tag("path")[row] for row in rows.tolist()}
    wanted = found["query"].map(found[found["place"] == 0].set_index("query")["class"])
    right = found[found["place"].between(1, 3)].assign(right=found["class"] == wanted).groupby("query")["right"].sum()
    first = videos.classes[videos.labels[train[0]]]
    assert [int(count) for count in right] == [2 if query.startswith(f"{first}/") else 3 for query in right.index]
    assert found["frames"].str.fullmatch(r"videos/\d+\.npy").all()


def test_no_training_videos_is_one_clear_line(tmp_path, evaluated):
    videos = move(PaintedVideos(), "train", "val")
    with pytest.raises(FameError, match="'train'"):
        evaluated(retrieval, CONFIG, Reader(label=1, scene=0), videos)


def test_embedding_normalises_averages_centres_and_normalises():
    features = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    clips = features / features.norm(dim=2, keepdim=True)
    centred = clips.mean(1) - clips.mean((0, 1))
    torch.testing.assert_close(embed(features).double(), centred / centred.norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-5)


def brute_rank(similarity: np.ndarray, right: np.ndarray) -> int:
    """Sorted by similarity, wrong before right among equals: the place of the first right one, 0 for none."""
    order = sorted(range(len(similarity)), key=lambda index: (-similarity[index], right[index]))
    return next((place for place, index in enumerate(order, start=1) if right[index]), 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 6))
def test_ranks_agree_with_sorting(seed, gallery, queries):
    drawn = np.random.default_rng(seed)
    keys = torch.tensor(drawn.integers(-2, 3, (gallery, 2)), dtype=torch.float32)  # few values: many ties
    vectors = torch.tensor(drawn.integers(-2, 3, (queries, 2)), dtype=torch.float32)
    key_labels, labels = torch.tensor(drawn.integers(0, 3, gallery)), torch.tensor(drawn.integers(0, 3, queries))
    ranks = first_right_rank(vectors, labels, keys, key_labels)
    expected = [brute_rank((keys @ q).numpy(), (key_labels == label).numpy()) for q, label in zip(vectors, labels, strict=True)]
    assert ranks.tolist() == expected
