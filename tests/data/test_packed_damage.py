"""Damage in the packed store: found, named and mended."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fame.data.clips import VideoSet
from fame.data.manifest import Manifest
from fame.data.packed import PackedStore
from fame.errors import FameError
from tests.data.test_packed import LENGTHS, four_videos, packed, raw_and_packed  # noqa: F401 (fixtures)

# ---------------------------------------------------------------- damage


@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_wrong_bit_anywhere_is_found_named_and_mended(both: tuple[VideoSet, VideoSet], where: float, bit: int) -> None:
    _, videos = both
    assert isinstance(videos.store, PackedStore)
    file = videos.store.folder / "frames.bin"
    sound, end = file.read_bytes(), max(videos.store.offsets + videos.store.sizes)
    place = int(where * end)
    row = int(np.flatnonzero((videos.store.offsets <= place) & (place < videos.store.offsets + videos.store.sizes))[0])
    try:
        with file.open("r+b") as target:
            target.seek(place)
            target.write(bytes([sound[place] ^ 1 << bit]))
        store = PackedStore.open(videos.store.folder)
        assert store.check() == [row]
        for other in range(4):
            if other != row:
                store.frames_of(other, range(LENGTHS[other]))
        with pytest.raises(FameError, match=rf"frames\.bin: (frame \d+|the record) of c{row % 2}/{row}\.avi is damaged.*--check"):
            store.frames_of(row, range(LENGTHS[row]))
    finally:
        with file.open("r+b") as target:
            target.write(sound)


def test_mending_packs_the_damaged_videos_anew(manifest: Manifest, tmp_path: Path) -> None:
    store = packed(manifest, tmp_path / "store")
    before = store.frames_of(1, range(LENGTHS[1]))
    with (tmp_path / "store" / "frames.bin").open("r+b") as file:
        file.seek(int(store.offsets[1]) + 999)
        file.write(b"\0\xff\0\xff")
    damaged = PackedStore.open(tmp_path / "store")
    assert damaged.check() == [1]
    mended = damaged.mend(manifest, [1])
    assert mended.check() == [] and np.array_equal(mended.frames_of(1, range(LENGTHS[1])), before)
    assert packed(manifest, tmp_path / "store").check() == []


@pytest.mark.parametrize("damage", ["cut", "index", "version", "gone"])
def test_a_damaged_store_is_refused_and_made_anew(manifest: Manifest, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "store"
    packed(manifest, folder)
    index = json.loads((folder / "index.json").read_text())
    match damage:
        case "cut":
            (folder / "frames.bin").write_bytes((folder / "frames.bin").read_bytes()[:-1])
        case "index":
            (folder / "index.json").write_text("{")
        case "version":
            (folder / "index.json").write_text(json.dumps(index | {"quality": 50}))
        case "gone":
            (folder / "frames.bin").unlink()
    with pytest.raises(FameError, match=str(folder)):
        PackedStore.open(folder)
    assert packed(manifest, folder).check() == []
