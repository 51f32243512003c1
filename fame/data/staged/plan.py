"""Plan who performs what, where: the list of videos of one part of the embedded benchmark, from the replicate's seed.

A share rho of an action's videos shows the scene family that goes with it (the coupling), the others those of other actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fame.config import StagedData, StagedPart
from fame.data.staged.render import CODECS, Recipe
from fame.data.staged.scene import FAMILIES, hues
from fame.seeds import Seeds

OWN = "own"
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Planned:
    """One video to be: its recipe, and what the manifest will say of it."""

    recipe: Recipe
    split: str
    label: int
    performance: str
    scene: int | None  # the family shown
    scene_action: int | None  # the action it goes with


def couple(actions: tuple[str, ...], seeds: Seeds) -> list[int]:
    """Return the scene family that goes with each action of a part, all different."""
    rng = np.random.default_rng(seeds.of("staged", "coupling", *actions))
    return [int(family) for family in rng.permutation(len(FAMILIES))[: len(actions)]]


def plan(data: StagedData, seeds: Seeds) -> list[Planned]:
    """Every video of the part, in the manifest's order: split by split, performance by performance."""
    part: StagedPart = getattr(data.world, data.part)
    coupling = couple(part.actions, seeds)
    videos: list[Planned] = []
    for split, count, rho in _splits(part):
        rng = np.random.default_rng(seeds.of("staged", data.part, split, "scenes"))
        labels = np.arange(count) % len(part.actions)
        shown = _scenes(labels, rho, rng)
        videos += _performances(data, seeds, split, labels, shown, OWN, coupling)
        if split == "test":
            for condition in part.conditions:
                elsewhere = _derangement(labels, shown, rng) if condition == "deranged" else shown
                videos += _performances(data, seeds, split, labels, elsewhere, condition, coupling)
    return videos


def _splits(part: StagedPart) -> list[tuple[str, int, float | None]]:
    """(name, videos, rho) of what is staged; rho None: every scene equally often."""
    splits: list[tuple[str, int, float | None]] = [("train", part.train, part.rho), ("val", part.val, part.rho)]
    if part.balanced:
        splits += [("balanced", part.train, None), ("val/balanced", part.val, None)]
    return [*splits, ("test", part.test, part.rho)]


def _scenes(labels: Labels, rho: float | None, rng: np.random.Generator) -> Labels:
    """For each video, whose scene it shows, as the index of an action: its own in exactly round(rho n) of a class's n videos."""
    shown = np.empty_like(labels)
    kinds = int(labels.max()) + 1
    for label in range(kinds):
        rows = rng.permutation(np.flatnonzero(labels == label))
        others = np.array([action for action in rng.permutation(kinds) if rho is None or action != label])
        own = 0 if rho is None else round(rho * len(rows))
        shown[rows[:own]] = label
        shown[rows[own:]] = np.resize(others, len(rows) - own)
    return shown


def _derangement(labels: Labels, shown: Labels, rng: np.random.Generator) -> Labels:
    """For each performance another action's scene: never its own nor the one it is already shown in; all about equally often."""
    times = np.zeros(int(labels.max()) + 1)
    elsewhere = np.empty_like(labels)
    for row in rng.permutation(len(labels)):
        allowed = [action for action in range(len(times)) if action not in (labels[row], shown[row])]
        elsewhere[row] = min(allowed or [1 - labels[row]], key=lambda action: times[action] + 0.5 * rng.uniform())
        times[elsewhere[row]] += 1
    return elsewhere


def _rooms(shown: Labels, size: int) -> list[int]:
    """For each video the first one of those that share its backdrop: `size` videos of one scene family, whatever their action."""
    rooms = np.arange(len(shown))
    for scene in np.unique(shown):
        rows = np.flatnonzero(shown == scene)
        rooms[rows] = rows[np.arange(len(rows)) // size * size]
    return [int(room) for room in rooms]


def _performances(
    data: StagedData, seeds: Seeds, split: str, labels: Labels, shown: Labels, condition: str, coupling: list[int]
) -> list[Planned]:
    part: StagedPart = getattr(data.world, data.part)
    tints = hues(seeds.of("staged", "hues"))
    rooms = _rooms(shown, data.world.room if split in ("train", "val") else 1)  # heads are trained and tested before many backdrops
    ending = CODECS[data.world.codec][0]
    where = split if condition == OWN else f"{split}/{condition}"
    videos = []
    for index, (label, scene) in enumerate(zip(labels.tolist(), shown.tolist(), strict=True)):
        action = part.actions[label]
        seen = None if condition in ("neutral", "figure_only") else scene

        def seed(*purpose: str, at: tuple[str | int, ...] = (split, index)) -> int:
            return seeds.of("staged", data.part, *at, *purpose)

        performance = f"{split.replace('/', '-')}{index:05d}"
        name = f"v_{action.capitalize()}_{performance}" + ("" if condition == OWN else f"_{condition}")
        recipe = Recipe(
            file=f"videos/{action.capitalize()}/{name}.{ending}",
            mask="" if condition == "scene_only" else f"masks/{performance}.npy",
            action=action,
            condition=condition,
            family=None if seen is None else coupling[seen],
            hue=None if seen is None else tints[coupling[seen]],
            motion=seed("motion"),
            sensor=seed("sensor"),
            clothes=seeds.of("staged", "clothes", action) if data.world.clothes == "by_action" else seed("clothes"),
            scene=seed("scene", condition) if condition in ("deranged", "neutral") else seed("scene", at=(split, rooms[index])),
        )
        videos.append(Planned(recipe, where, label, performance, recipe.family, seen))
    return videos
