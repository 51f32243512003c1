"""Make the pairs of views that pretraining contrasts: two random clips of each video, one or both merged (paper, section 3).

Each random choice has a stream of its own, so two methods at one replicate see the same clips in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fame.config import Pretrain
from fame.data.clips import VideoSet
from fame.data.parallel import ahead
from fame.distributed import here
from fame.method.augment import Clips, Crops, apply_crops, colour_normalised, draw_crops, frame_sizes
from fame.method.controls import Controlled, merging_of
from fame.method.merging import ForegroundBackgroundMerge, erase_background
from fame.run import Run


class Raw(NamedTuple):
    """Hold clips as they are stored, and the true figure in each of their frames where a control asks for it."""

    clips: Clips
    truth: Tensor | None


class Views:
    """Make pairs of views of one epoch: two random clips of each video, cropped, merged or erased, coloured, normalised."""

    def __init__(self, config: Pretrain, videos: VideoSet, run: Run, epoch: int):
        self.config, self.contrast, self.videos, self.device = config, config.contrast, videos, run.device
        rank = ("rank", here().rank) if here().size > 1 else ()
        purposes = ("starts", "source starts", "views", "merging", "control")
        streams = [run.seeds.generator(purpose, epoch, *rank) for purpose in purposes]
        self.starts, self.source_starts, self.views, self.merging, control = streams
        # what is drawn from as clips are read, and as views are made of them
        self.reading, self.making = streams[:2], streams[2:]
        merge = self.contrast.merge
        self.merge: ForegroundBackgroundMerge | None = merging_of(merge) if merge else None
        self.controlled = Controlled(merge, control)
        self.waited = self.augmented = 0.0  # seconds: waiting for clips, and spent on everything after it
        self._read_to = states(self.reading)

    def pairs(self, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield two views (B, 3, T, size, size) of each batch of rows, on the run's device; on a GPU a batch is read ahead."""
        began = time.perf_counter()
        for clips, read_to in ahead(((self.read(rows), states(self.reading)) for rows in order), self.device.type == "cuda"):
            ready = time.perf_counter()
            self._read_to = read_to
            views = self.make(clips)
            began, waiting = time.perf_counter(), ready - began
            self.waited += waiting
            self.augmented += began - ready
            yield views
            began = time.perf_counter()

    def place(self) -> dict[str, Any]:
        """Return where all streams and both clocks stand after the pair given last, whatever has been read ahead of it."""
        return {
            "read to": self._read_to,
            "streams": states(self.making),
            "waited": self.waited,
            "augmented": self.augmented,
        }

    def resume(self, place: Mapping[str, Any]) -> None:
        """Go on from a `place`: the next pair is the one after it."""
        for stream, state in zip([*self.reading, *self.making], [*place["read to"], *place["streams"]], strict=True):
            stream.set_state(state)
        self.waited, self.augmented, self._read_to = place["waited"], place["augmented"], place["read to"]

    def read(self, rows: Tensor) -> list[Raw]:
        """Read the clips of both views, then those that merging takes its backgrounds from where they come from the same video."""
        merge = self.contrast.merge
        found = [self._clips(rows, self.starts, self._merges(number)) for number in range(2)]
        if merge is not None and merge.background == "intra":
            found += [self._clips(rows, self.source_starts) for _ in range(2 if merge.views == "both" else 1)]
        return found

    def _clips(self, rows: Tensor, generator: torch.Generator, masked: bool = False) -> Raw:
        clip = self.config.clip
        starts = self.videos.random_starts(rows, clip, generator)
        raw = self.videos.clips(rows, starts, clip)
        truth = self.controlled.truth(self.videos, rows, starts, clip) if masked else None
        if self.device.type == "cuda":
            raw = raw.pin_memory() if isinstance(raw, Tensor) else [one.pin_memory() for one in raw]
            truth = None if truth is None else truth.pin_memory()
        return Raw(raw, truth)

    def make(self, raw: list[Raw]) -> tuple[Tensor, Tensor]:
        """Return the pair of views of raw clips, as `read` gives them; all boxes are drawn first, in a fixed order."""
        augment = self.config.augment
        streams = (self.views, self.views, self.merging, self.merging)
        boxed = [(one, draw_crops(frame_sizes(one.clips), augment, stream)) for one, stream in zip(raw, streams, strict=False)]
        pairs = enumerate(zip_longest(boxed[:2], boxed[2:]))
        view0, view1 = (colour_normalised(self._view(number, *pair), augment, self.views) for number, pair in pairs)
        return view0, view1

    def _view(self, number: int, given: tuple[Raw, Crops], source: tuple[Raw, Crops] | None) -> Tensor:
        """Crop view `number`, then merge or erase it."""
        raw, boxes = given
        clips, erasing = self._cropped(raw.clips, boxes), self.contrast.erasing
        if self.merge is not None and self._merges(number):
            # a crop can miss the figure: its mask is then empty
            truth = None if raw.truth is None else (self._cropped(raw.truth, boxes) >= 0.5).any(1)
            sources = self._cropped(source[0].clips, source[1]) if source else None
            mask, behind = self.controlled.mask(clips, truth), self.controlled.behind(clips, truth)
            merged: Tensor = self.merge(clips, sources, generator=self.merging, mask=mask, behind=behind)
            return merged
        if erasing is not None and (number == 0 or erasing.views == "both"):
            return erase_background(clips, erasing.weight, self.merging)
        return clips

    def _cropped(self, clips: Clips, boxes: Crops) -> Tensor:
        """Return clips as `apply_crops` does, on the run's device."""

        def moved(frames: Tensor) -> Tensor:
            return frames.to(self.device, non_blocking=True)

        there = moved(clips) if isinstance(clips, Tensor) else [moved(one) for one in clips]
        return apply_crops(there, boxes, self.config.clip.size)

    def _merges(self, number: int) -> bool:
        """Say whether view `number` is merged; `single` treats view 0 only."""
        merge = self.contrast.merge
        return merge is not None and (number == 0 or merge.views == "both")


def states(streams: list[torch.Generator]) -> list[Tensor]:
    return [stream.get_state() for stream in streams]
