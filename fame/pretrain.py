"""The first stage: an encoder, by momentum contrast with or without merging, with labels, at random, or from a given file.

The order of a clip's treatment is the released code's: crop and flip; merging or erasing; colour; normalisation. Order, starts,
views and merging draw from streams of their own, so two methods at one replicate see the same clips in the same order, and their
difference is merging alone. So are a control's masks (fame/controls.py).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from fame import precision as arithmetic
from fame.augment import Clips, colour_normalised, of_process, random_crops
from fame.backbones import Encoder, build_encoder, fast_layout
from fame.checkpoint import TrainingState, load_encoder, save_encoder
from fame.config import Pretrain
from fame.controls import Controlled, cropped_truth, merging_of
from fame.data.ahead import ahead
from fame.data.fitting import standing_in, too_short
from fame.distributed import average, here, parallel, together
from fame.errors import FameError
from fame.given import load_given
from fame.merging import ForegroundBackgroundMerge, erase_background
from fame.moco import MomentumContrast, statistics
from fame.optimiser import build_optimiser, learning_rate, set_learning_rate
from fame.run import Run
from fame.supervised import Classifier, batches, train_classifier

if TYPE_CHECKING:
    from fame.data.clips import VideoSet
    from fame.seeds import Seeds

ENCODER_FILE = "encoder.pt"
GIVEN_FILE = "given.pt"  # the harness lays the file of --pretrained here
LOOK = 50  # steps between two looks at whether the loss is still finite


def pretrain(config: Pretrain, run: Run) -> dict[str, Any]:
    """Make the encoder, write `encoder.pt`, and return the stage's result; continues a run that was broken off.

    Metrics: `loss`, and `accuracy` in percent (of InfoNCE's own key against the queue, or of training labels), last epoch. Raises
    FameError for an empty training split, a queue shorter than the batch, a loss that is not finite, given weights that do not fit.
    """
    arithmetic.set_threads(config.threads)
    encoder = build_encoder(config.backbone, run.seeds.of("initialisation"))
    notes: dict[str, Any] = {"parameters": sum(weight.numel() for weight in encoder.parameters()), "dim": encoder.dim}
    metrics: dict[str, float] = {}
    if config.kind == "file":
        assert config.weights is not None  # the configuration's validation
        notes["keys"] = load_given(encoder, run.folder / GIVEN_FILE, config.weights)
    elif config.kind != "random":
        assert config.data is not None
        dtype = arithmetic.resolve(config.precision, run.device)
        notes |= {"precision": arithmetic.name(dtype), "threads": config.threads}
        videos = run.videos(config.data)
        rows = standing_in(videos, videos.select("train"), config.clip)
        if not len(rows):
            raise FameError(
                f"the data of {run.folder} have no videos in split train; they have {', '.join(videos.splits) or 'none at all'}"
            )
        batch = min(config.optim.batch, len(rows))
        notes |= too_short(videos, ["train"], config.clip)
        notes |= {"videos": len(rows), "batch": batch, "steps": config.optim.epochs * (len(rows) // batch)}
        if batch < config.optim.batch:
            notes["smaller_batch"] = f"{len(rows)} videos do not fill a batch of {config.optim.batch}: each batch is all of them"
        if config.kind == "moco" and config.ranks > 1:
            notes["ranks"] = config.ranks
            metrics = together(_train_rank, config.ranks, run.device.type, config, run.folder, run.seeds, videos)
            encoder, _ = load_encoder(run.folder / ENCODER_FILE)
        else:
            train = _train_contrast if config.kind == "moco" else _train_labels
            metrics = train(config, encoder, videos, rows, run)
    save_encoder(encoder, config.backbone, run.folder / ENCODER_FILE)
    (run.folder / "checkpoint.pt").unlink(missing_ok=True)
    return {"metrics": metrics, "artifacts": [ENCODER_FILE], "notes": notes}


def _train_labels(config: Pretrain, encoder: Encoder, videos: VideoSet, rows: Tensor, run: Run) -> dict[str, float]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seeds.of("head"))
        model = Classifier(encoder, len(videos.classes))
    return train_classifier(
        model,
        videos,
        rows,
        clip=config.clip,
        augment=of_process(config.augment, run.seeds.generator("blur")),
        optim=config.optim,
        precision=config.precision,
        run=run,
        purpose="pretrain",
        keep=True,
    )


def _train_rank(device: torch.device, config: Pretrain, folder: Path, seeds: Seeds, videos: VideoSet) -> dict[str, float]:
    """What each of several ranks does; the first one writes the encoder."""
    arithmetic.set_threads(config.threads)
    run = Run(folder=folder, seeds=seeds, device=device, videos=lambda data: videos, quiet=not here().first)
    encoder = build_encoder(config.backbone, seeds.of("initialisation"))
    metrics = _train_contrast(config, encoder, videos, standing_in(videos, videos.select("train"), config.clip), run)
    if here().first:
        save_encoder(encoder, config.backbone, folder / ENCODER_FILE)
    return metrics


def _train_contrast(config: Pretrain, encoder: Encoder, videos: VideoSet, rows: Tensor, run: Run) -> dict[str, float]:
    optim, device, ranks = config.optim, run.device, here()
    batch = min(optim.batch, len(rows)) // ranks.size * ranks.size
    if not batch:
        raise FameError(f"{len(rows)} training videos cannot be shared by {ranks.size} ranks: ask for fewer")
    if config.moco.queue < batch:
        raise FameError(f"a queue of {config.moco.queue} keys cannot take a batch of {batch}: set moco.queue to {batch} or more")
    if batch == ranks.size and config.merge and config.merge.background != "intra":
        raise FameError(f"merging takes its background from another video of the batch, and a batch of {run.folder} is one video")
    dtype = arithmetic.resolve(config.precision, device)
    model = fast_layout(MomentumContrast(encoder, config.moco, run.seeds.of("head")).to(device))
    # running statistics are evened out after each epoch; queue and shuffles are the same on all ranks by construction
    trained = parallel(model)
    optimiser = build_optimiser(optim, model.query.parameters())
    # what changes the numbers must change the identity, the videos drawn included
    identity = f"{config.model_dump_json()}|{dtype}|{len(rows)}|{int(videos.length[rows].sum())}"
    state = TrainingState(run, identity, model, optimiser)
    done, metrics = state.restore()
    for epoch in range(done, optim.epochs):
        set_learning_rate(optimiser, learning_rate(optim, epoch))
        model.train()
        views = Views(config, videos, run, epoch)
        total = torch.zeros(2, dtype=torch.float64, device=device)
        order = [ranks.mine(some) for some in batches(rows, batch, run.seeds.generator("order", epoch))]
        began = time.perf_counter()
        for step, (view0, view1) in enumerate(views.pairs(order), 1):
            loss, right = trained(view0, view1, arithmetic.autocast(dtype, device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += torch.stack([loss.detach(), right]).double()
            # a look at a number of the GPU waits for all its work, so it is seldom
            if (step % LOOK == 0 or step == len(order)) and not torch.isfinite(total[0]):
                raise FameError(f"the loss of {run.folder} is {loss.item()} in epoch {epoch + 1}: lower the learning rate")
        seconds = max(time.perf_counter() - began, 1e-9)
        average([total, *statistics(model)])
        mean_loss, mean_right = (total / len(order)).tolist()
        metrics = {"loss": mean_loss, "accuracy": 100 * mean_right}
        run.log(
            step=epoch + 1,
            steps=optim.epochs,
            **metrics,
            lr=optimiser.param_groups[0]["lr"],
            seconds=seconds,
            waiting=views.waited / seconds,
            augmenting=views.augmented / seconds,
        )
        if ranks.first:
            state.save(epoch + 1, metrics)
    return metrics


class Raw(NamedTuple):
    """Clips as they are stored, and the true figure in each of their frames where a control asks for it."""

    clips: Clips
    truth: Tensor | None


class Views:
    """Pairs of views of one epoch: two random clips of each video, cropped, merged or erased, coloured, normalised.

    Each random choice has a stream of its own (and each rank its own streams), so no choice depends on whether another one was
    made, and clips can be read ahead.
    `waited` and `augmented` add up the seconds in which training waited for clips, and those spent on everything after it.
    """

    def __init__(self, config: Pretrain, videos: VideoSet, run: Run, epoch: int):
        self.config, self.videos, self.device = config, videos, run.device
        rank = ("rank", here().rank) if here().size > 1 else ()
        self.starts, self.views, self.source_starts, self.merging = (
            run.seeds.generator(purpose, epoch, *rank) for purpose in ("starts", "views", "source starts", "merging")
        )
        self.augment = of_process(config.augment, run.seeds.generator("blur", *rank))
        self.merge: ForegroundBackgroundMerge | None = merging_of(config.merge) if config.merge else None
        self.controlled = Controlled(config.merge, run.seeds.generator("control", epoch, *rank))
        self.waited = self.augmented = 0.0

    def pairs(self, order: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Two views (B, 3, T, size, size) of each batch of rows, on the run's device; on a GPU clips are read one batch ahead."""
        began = time.perf_counter()
        for clips in ahead(map(self._read, order), self.device.type == "cuda"):
            ready = time.perf_counter()
            views = self._augmented(clips)
            began, waiting = time.perf_counter(), ready - began
            self.waited += waiting
            self.augmented += began - ready
            yield views
            began = time.perf_counter()

    def draw(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The pair of one batch."""
        return next(self.pairs([rows]))

    def _read(self, rows: Tensor) -> list[Raw]:
        """The raw clips of both views, then those that merging takes its backgrounds from where they come from the same video."""
        merge = self.config.merge
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

    def _augmented(self, raw: list[Raw]) -> tuple[Tensor, Tensor]:
        augment = self.augment
        cropped = [self._cropped(one, self.views) for one in raw[:2]]
        sources = [self._cropped(one, self.merging)[0] for one in raw[2:]]
        pairs = enumerate(zip_longest(cropped, sources))
        clips = [self._replaced(clip, truth, source, number) for number, ((clip, truth), source) in pairs]
        view0, view1 = (colour_normalised(clip, augment, self.views, inplace=True) for clip in clips)
        return view0, view1

    def _cropped(self, raw: Raw, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Clips float (B, 3, T, size, size) and, where it was read, the figure in any of their frames, bool (B, size, size)."""

        def moved(frames: Tensor) -> Tensor:
            return frames.to(self.device, non_blocking=True)

        size, augment = self.config.clip.size, self.config.augment
        before = generator.clone_state() if raw.truth is not None else None
        clips = moved(raw.clips) if isinstance(raw.clips, Tensor) else [moved(one) for one in raw.clips]
        found = random_crops(clips, size, augment, generator)
        truth = None if raw.truth is None or before is None else cropped_truth(moved(raw.truth), size, augment, before)
        return found, truth

    def _merges(self, number: int) -> bool:
        """Whether view `number` is merged; `single` treats view 0 only."""
        merge = self.config.merge
        return merge is not None and (number == 0 or merge.views == "both")

    def _replaced(self, clips: Tensor, truth: Tensor | None, sources: Tensor | None, number: int) -> Tensor:
        """View `number` after merging or erasing."""
        erasing = self.config.erasing
        if self.merge is not None and self._merges(number):
            mask = self.controlled.mask(clips, truth)
            merged: Tensor = self.merge(clips, sources, generator=self.merging, mask=mask)
            return merged
        if erasing is not None and (number == 0 or erasing.views == "both"):
            return erase_background(clips, erasing.weight, self.merging)
        return clips
