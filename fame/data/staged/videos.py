"""The embedded benchmark: staged actions, rendered into real video files in class folders.

A part (source, A, B, C) of a world (a replicate's seed) lies in one folder of the cache:

    videos/CLASS/v_CLASS_PERFORMANCE[_CONDITION].avi     read through the same decoder as any other data set
    masks/PERFORMANCE.npy                                the figure's true pixels, one bit each (render.read_masks)
    manifest.json                                        label, split, scene and mask of each video
    checksums.txt

It is made in a hidden folder and renamed when it is whole: a killed rendering leaves nothing that looks like data.
"""

from __future__ import annotations

import functools
import logging
import shutil
from pathlib import Path

from fame.config import StagedData, StagedWorld
from fame.data.disk import locked, writing
from fame.data.manifest import Manifest, Video
from fame.data.parallel import Progress, counted, each
from fame.data.staged.plan import Planned, plan
from fame.data.staged.render import Recipe, render_performance, write_masks, write_video
from fame.files import sha256_of
from fame.seeds import Seeds

log = logging.getLogger(__name__)


def render(data: StagedData, seeds: Seeds, cache: Path, jobs: int = 1, progress: Progress | None = None) -> Manifest:
    """Return a part's videos under `cache/staged/`, rendered where missing or damaged; FameError where they cannot be written."""
    folder = cache / "staged" / data.digest(seeds.of("staged"))
    with writing(folder, "the rendered videos"), locked(folder):
        if not (folder / "manifest.json").exists():
            _render_all(folder, data, seeds, jobs, progress)
        elif damaged := _damaged(folder):
            log.warning("%s: %d files are damaged or gone (first: %s); rendered anew", folder, len(damaged), min(damaged))
            again = [item.recipe for item in plan(data, seeds) if {item.recipe.file, item.recipe.mask} & damaged]
            _render_into(folder, again, data.world, jobs, progress)
        return Manifest.load(folder / "manifest.json")


def _damaged(folder: Path) -> set[str]:
    """Return the files of a rendered part that are missing or of other content than was rendered."""
    lines = (folder / "checksums.txt").read_text(encoding="utf-8").splitlines()
    sums = {name: checksum for checksum, _, name in (line.split(maxsplit=2) for line in lines)}
    return {name for name, checksum in sums.items() if not (folder / name).exists() or sha256_of(folder / name) != checksum}


def _render_all(folder: Path, data: StagedData, seeds: Seeds, jobs: int, progress: Progress | None) -> None:
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    videos = plan(data, seeds)
    classes = [action.capitalize() for action in getattr(data.world, data.part).actions]
    for name in ("masks", *(f"videos/{each_class}" for each_class in classes)):
        (partial / name).mkdir(parents=True)
    sums = _render_into(partial, [video.recipe for video in videos], data.world, jobs, progress)
    manifest = Manifest(f"staged-{data.part}", partial, classes, [_entry(video, data.world, sums) for video in videos])
    lines = [f"{checksum} {size} {name}\n" for name, (checksum, size) in sorted(sums.items())]
    (partial / "checksums.txt").write_text("".join(lines), encoding="utf-8")
    manifest.save(partial / "manifest.json")
    partial.rename(folder)


def _render_into(
    folder: Path, recipes: list[Recipe], world: StagedWorld, jobs: int, progress: Progress | None
) -> dict[str, tuple[str, int]]:
    """Render the recipes' files below `folder`; for every file its checksum and size."""
    work = functools.partial(_render_one, folder, world)
    performances: dict[int, list[Recipe]] = {}
    for recipe in recipes:
        performances.setdefault(recipe.motion, []).append(recipe)
    sums: dict[str, tuple[str, int]] = {}
    for made in counted(each(work, list(performances.values()), jobs), "rendering", len(performances), progress):
        sums |= made
    return sums


def _render_one(folder: Path, world: StagedWorld, recipes: list[Recipe]) -> dict[str, tuple[str, int]]:
    written = set()
    for recipe, frames, mask in render_performance(recipes, world):
        write_video(folder / recipe.file, frames, world.codec, world.fps)
        written.add(recipe.file)
        if recipe.mask and recipe.mask not in written:  # the conditions of a performance share their masks
            write_masks(folder / recipe.mask, mask)
            written.add(recipe.mask)
    return {name: (sha256_of(folder / name), (folder / name).stat().st_size) for name in written}


def _entry(video: Planned, world: StagedWorld, sums: dict[str, tuple[str, int]]) -> Video:
    tags = {
        "performance": video.performance,
        "scene": "" if video.scene is None else str(video.scene),
        "scene_action": "" if video.scene_action is None else str(video.scene_action),
        "mask": video.recipe.mask,
    }
    path = video.recipe.file
    return Video(
        path,
        video.label,
        video.split,
        world.frames,
        float(world.fps),
        world.size,
        world.size,
        tags,
        sums[path][0],
    )
