"""Make the pairs of views that pretraining contrasts: two random clips of each video, one or both merged (paper, section 3).

Order, starts, views, merging and controls draw from streams of their own, so two methods at one replicate see the same clips in the
same order, and their difference is merging alone.
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
from fame.method.controls import Controlled, cropped_truth, merging_of
from fame.method.merging import ForegroundBackgroundMerge, erase_background
from fame.run import Run


class Raw(NamedTuple):
    """Clips as they are stored, and the true figure in each of their frames where a control asks for it."""

    clips: Clips
    truth: Tensor | None


class Boxed(NamedTuple):
    """Clips with what of them is seen; the figure goes through the crop drawn from the same state as theirs."""

    clips: Clips
    truth: Tensor | None
    boxes: Crops
    before: torch.Generator | None  # the state; None without a figure


class Views:
    """Pairs of views of one epoch: two random clips of each video, cropped, merged or erased, coloured, normalised.

    Each random choice of each rank has a stream of its own, so clips can be read ahead.
    `waited` and `augmented` add up the seconds in which training waited for clips, and those spent on everything after it.
    """

    def __init__(self, config: Pretrain, videos: VideoSet, run: Run, epoch: int):
        self.config, self.contrast, self.videos, self.device = config, config.contrast, videos, run.device
        rank = ("rank", here().rank) if here().size > 1 else ()
        self.starts, self.views, self.source_starts = (
            run.seeds.generator(purpose, epoch, *rank) for purpose in ("starts", "views", "source starts")
        )
        merge = self.contrast.merge
        self.merging = run.seeds.generator("merging", epoch, *rank)
        self.merge: ForegroundBackgroundMerge | None = merging_of(merge) if merge else None
        self.controlled = Controlled(merge, run.seeds.generator("control", epoch, *rank))
        self.waited = self.augmented = 0.0
        self._read_to = self._reading()

    def pairs(self, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Two views (B, 3, T, size, size) of each batch of rows, on the run's device; on a GPU clips are read one batch ahead."""
        began = time.perf_counter()
        for clips, read_to in ahead(((self.read(rows), self._reading()) for rows in order), self.device.type == "cuda"):
            ready = time.perf_counter()
            self._read_to = read_to
            views = self.make(clips)
            began, waiting = time.perf_counter(), ready - began
            self.waited += waiting
            self.augmented += began - ready
            yield views
            began = time.perf_counter()

    def place(self) -> dict[str, Any]:
        """Where all streams and both clocks stand after the pair given last, whatever has been read ahead of it."""
        later = [stream.get_state() for stream in self._later()]
        return {"read to": self._read_to, "streams": later, "waited": self.waited, "augmented": self.augmented}

    def resume(self, place: Mapping[str, Any]) -> None:
        """Go on from a `place`: the next pair is the one after it."""
        for streams, states in ((self._earlier(), place["read to"]), (self._later(), place["streams"])):
            for stream, state in zip(streams, states, strict=True):
                stream.set_state(state)
        self.waited, self.augmented, self._read_to = place["waited"], place["augmented"], place["read to"]

    def _earlier(self) -> tuple[torch.Generator, ...]:
        """The streams that are drawn from as clips are read."""
        return self.starts, self.source_starts

    def _later(self) -> tuple[torch.Generator, ...]:
        """Those that are drawn from as views are made of them."""
        return self.views, self.merging, self.controlled.generator

    def _reading(self) -> list[Tensor]:
        return [stream.get_state() for stream in self._earlier()]

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The pair of one batch."""
        return next(self.pairs([rows]))

    def read(self, rows: Tensor) -> list[Raw]:
        """The raw clips of both views, then those that merging takes its backgrounds from where they come from the same video."""
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
        boxed = [self._boxed(one, self.views if number < 2 else self.merging) for number, one in enumerate(raw)]
        view0, view1 = (self._view(number, *pair) for number, pair in enumerate(zip_longest(boxed[:2], boxed[2:])))
        return view0, view1

    def _boxed(self, raw: Raw, generator: torch.Generator) -> Boxed:
        before = generator.clone_state() if raw.truth is not None else None
        return Boxed(*raw, draw_crops(frame_sizes(raw.clips), self.config.augment, generator), before)

    def _view(self, number: int, given: Boxed, source: Boxed | None) -> Tensor:
        size, truth = self.config.clip.size, None
        if given.truth is not None and given.before is not None:
            truth = cropped_truth(self._moved(given.truth), size, self.config.augment, given.before)
        sources = None if source is None else self._cropped(source)
        clips = self._replaced(self._cropped(given), truth, sources, number)
        return colour_normalised(clips, self.config.augment, self.views)

    def _cropped(self, boxed: Boxed) -> Tensor:
        """Float (B, 3, T, size, size), on the run's device."""
        clips = self._moved(boxed.clips) if isinstance(boxed.clips, Tensor) else [self._moved(one) for one in boxed.clips]
        return apply_crops(clips, boxed.boxes, self.config.clip.size)

    def _moved(self, frames: Tensor) -> Tensor:
        return frames.to(self.device, non_blocking=True)

    def _merges(self, number: int) -> bool:
        """Whether view `number` is merged; `single` treats view 0 only."""
        merge = self.contrast.merge
        return merge is not None and (number == 0 or merge.views == "both")

    def _replaced(self, clips: Tensor, truth: Tensor | None, sources: Tensor | None, number: int) -> Tensor:
        """View `number` after merging or erasing."""
        erasing = self.contrast.erasing
        if self.merge is not None and self._merges(number):
            mask, behind = self.controlled.mask(clips, truth), self.controlled.behind(clips, truth)
            merged: Tensor = self.merge(clips, sources, generator=self.merging, mask=mask, behind=behind)
            return merged
        if erasing is not None and (number == 0 or erasing.views == "both"):
            return erase_background(clips, erasing.weight, self.merging)
        return clips
