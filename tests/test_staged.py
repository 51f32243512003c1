"""The embedded benchmark: what it promises about worlds, scenes, performances and files."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from fame.config import Condition, StagedData, StagedPart, StagedWorld
from fame.data import staged
from fame.data.manifest import Manifest, Video
from fame.data.staged_actions import ACTIONS, Manner
from fame.data.staged_figure import capsules
from fame.data.staged_files import read_masks
from fame.data.staged_plan import couple, plan
from fame.data.staged_render import render_performance
from fame.data.staged_scene import CLOTHES, FAMILIES, backdrop, palette
from fame.data.staged_sheet import contact_sheet, counterfactual_sheet
from fame.data.video import decode as video_frames
from fame.errors import FameError
from fame.seeds import Seeds

BASE = ("raise", "flap", "crawl", "kick", "march", "squat", "bow", "jump")
CONDITIONS: tuple[Condition, ...] = ("deranged", "neutral", "scene_only", "figure_only")


def world(
    train: int = 16, val: int = 8, test: int = 8, rho: float = 0.75, actions: tuple[str, ...] = BASE[:4], **look: Any
) -> StagedWorld:
    full = StagedPart(train=train, val=val, test=test, rho=rho, actions=actions, conditions=CONDITIONS, balanced=True)
    plain = StagedPart(train=train, val=val, test=test, rho=1 / len(actions), actions=actions)
    return StagedWorld(source=plain, A=full, B=plain, C=plain, **look)


def part_a(**values: Any) -> StagedData:
    return StagedData(part="A", world=world(**values))


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return staged.render(part_a(), Seeds(1000), tmp_path_factory.mktemp("cache"))


def decode(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---------------------------------------------------------------- determinism


def test_two_workers_make_the_same_bytes_as_one(rendered: Manifest, tmp_path: Path) -> None:
    other = staged.render(part_a(), Seeds(1000), tmp_path, jobs=2)
    assert contents(other.root) == contents(rendered.root)
    assert other.digest() == rendered.digest()


def test_another_replicate_is_another_world(rendered: Manifest) -> None:
    data = part_a()
    assert staged.digest(data, Seeds(1001)) != staged.digest(data, Seeds(1000)) == rendered.root.name
    here, there = plan(data, Seeds(1000)), plan(data, Seeds(1001))
    assert not {video.recipe.motion for video in here} & {video.recipe.motion for video in there}
    couplings = {tuple(couple(BASE, Seeds(replicate))) for replicate in range(8)}
    assert len(couplings) > 4


def test_a_part_does_not_depend_on_the_other_parts_configuration() -> None:
    one = world()
    other = one.model_copy(update={"B": one.B.model_copy(update={"train": 64})})
    seeds = Seeds(1000)
    assert staged.digest(StagedData(part="A", world=one), seeds) == staged.digest(StagedData(part="A", world=other), seeds)
    assert staged.digest(StagedData(part="B", world=one), seeds) != staged.digest(StagedData(part="B", world=other), seeds)


def test_performances_differ_between_videos_and_splits() -> None:
    videos = plan(part_a(), Seeds(1000))
    motions = defaultdict(set)
    for video in videos:
        motions[video.recipe.motion].add(video.performance)
    assert all(len(names) == 1 for names in motions.values())
    assert len(motions) == 16 + 8 + 16 + 8 + 8


def test_a_golden_recipe_keeps_its_pixels() -> None:
    """A changed generator needs a new `StagedWorld.version` (and a line in docs/benchmark.md)."""
    videos = plan(part_a(), Seeds(1000))
    look = staged.look_of(world())
    _, frames, mask = next(render_performance([videos[0].recipe], look))
    found = (world().version, int(mask.sum()), frames.reshape(24, -1).mean().round(0))
    assert found == GOLDEN, "the generator changed: raise StagedWorld.version, log it in docs/benchmark.md, renew this"


GOLDEN = (1, 3768, 86.0)


# ---------------------------------------------------------------- who, where


@pytest.mark.parametrize("rho", [0.125, 0.5, 0.95, 1.0])
def test_rho_is_the_share_of_each_class_in_its_own_scene(rho: float) -> None:
    videos = [v for v in plan(part_a(train=160, rho=rho, actions=BASE), Seeds(1003)) if v.split == "train"]
    for label in range(8):
        own = [video.scene_action == label for video in videos if video.label == label]
        assert len(own) == 20 and sum(own) == round(rho * 20)


def test_the_other_scenes_come_equally_often() -> None:
    videos = [v for v in plan(part_a(train=640, rho=0.125, actions=BASE), Seeds(1003)) if v.split == "train"]
    counts = Counter((video.label, video.scene_action) for video in videos)
    assert len(counts) == 64 and max(counts.values()) - min(counts.values()) <= 2


def test_the_balanced_split_is_balanced_disjoint_and_as_large() -> None:
    videos = plan(part_a(train=128, actions=BASE), Seeds(1004))
    split = {name: [video for video in videos if video.split == name] for name in ("train", "balanced", "val", "val/balanced")}
    assert len(split["train"]) == len(split["balanced"]) and len(split["val"]) == len(split["val/balanced"])
    assert set(Counter((video.label, video.scene) for video in split["balanced"]).values()) == {2}
    seen = [{(v.recipe.motion, v.recipe.scene) for v in videos} for videos in split.values()]
    assert not any(a & b for a, b in itertools.combinations(seen, 2))


def test_a_deranged_scene_is_never_its_own_nor_the_one_shown() -> None:
    for replicate in range(5):
        videos = plan(part_a(test=80, rho=0.5, actions=BASE), Seeds(replicate))
        own = {video.performance: video for video in videos if video.split == "test"}
        deranged = [video for video in videos if video.split == "test/deranged"]
        assert len(deranged) == len(own) == 80
        for video in deranged:
            assert video.scene_action != video.label
            assert video.scene != own[video.performance].scene
            assert video.recipe.scene != own[video.performance].recipe.scene  # palette and objects are new as well
        counts = Counter(video.scene for video in deranged)
        assert set(counts) == set(couple(BASE, Seeds(replicate))) and max(counts.values()) - min(counts.values()) <= 3


def test_parts_with_the_same_actions_share_the_coupling() -> None:
    for name in ("A", "source"):
        videos = plan(StagedData(part=name, world=world(rho=1.0)), Seeds(1000))  # type: ignore[arg-type]
        pairs = {(v.scene_action, v.scene) for v in videos if v.scene is not None}
        assert pairs == set(enumerate(couple(BASE[:4], Seeds(1000))))


def test_unknown_or_too_many_actions_are_named() -> None:
    with pytest.raises(FameError, match="unknown action 'fly'"):
        couple(("raise", "fly"), Seeds())
    with pytest.raises(FameError, match="at most 8"):
        couple(tuple(ACTIONS)[:9], Seeds())


# ---------------------------------------------------------------- pictures


def test_all_conditions_show_the_same_performance(rendered: Manifest) -> None:
    by_performance: dict[str, dict[str, Video]] = defaultdict(dict)
    for video in rendered.videos:
        if video.split.startswith("test"):
            by_performance[video.tags["performance"]][video.split] = video
    assert len(by_performance) == 8
    for shown in by_performance.values():
        assert set(shown) == {"test", *(f"test/{name}" for name in CONDITIONS)}
        masks = {video.tags["mask"] for split, video in shown.items() if split != "test/scene_only"}
        assert len(masks) == 1 and shown["test/scene_only"].tags["mask"] == ""
        mask = read_masks(rendered.root / masks.pop(), 48)
        inner = mask & np.roll(mask, 1, 1) & np.roll(mask, -1, 1) & np.roll(mask, 1, 2) & np.roll(mask, -1, 2)
        frames = {split: decode(rendered.root / video.path).astype(int) for split, video in shown.items()}
        for split in ("test/deranged", "test/neutral", "test/figure_only"):
            assert np.abs(frames[split] - frames["test"])[inner].mean() < 12  # chroma is stored at half the resolution
        outside = ~(mask | np.roll(mask, 2, 1) | np.roll(mask, -2, 1) | np.roll(mask, 2, 2) | np.roll(mask, -2, 2))
        assert np.abs(frames["test/scene_only"] - frames["test"])[outside].mean() < 6
        assert np.abs(frames["test/deranged"] - frames["test"])[outside].mean() > 30


def test_conditions_are_identical_on_the_figure_before_coding() -> None:
    videos = [v for v in plan(part_a(), Seeds(1000)) if v.performance == "test00003"]
    rendering = render_performance([v.recipe for v in videos], staged.look_of(world()))
    made = {recipe.condition: (frames, mask) for recipe, frames, mask in rendering}
    mask = made["own"][1]
    inner = np.all([np.roll(mask, shift, (1, 2)) for shift in itertools.product((-1, 0, 1), repeat=2)], axis=0)
    assert inner.any()
    for condition in ("deranged", "neutral", "figure_only"):
        assert np.array_equal(made[condition][0][inner], made["own"][0][inner])
        assert np.array_equal(made[condition][1], mask)
    assert not np.array_equal(made["scene_only"][0][inner], made["own"][0][inner])


def test_masks_are_where_the_figure_is() -> None:
    """Own scene minus scene only, without noise, differs inside the mask and nowhere far from it."""
    look = staged.look_of(world(noise=0.0))
    videos = [v for v in plan(part_a(), Seeds(1000)) if v.split in ("test", "test/scene_only")]
    by_motion = itertools.groupby(sorted(videos, key=lambda v: v.recipe.motion), key=lambda v: v.recipe.motion)
    for _, group in by_motion:
        made = {r.condition: (frames, mask) for r, frames, mask in render_performance([v.recipe for v in group], look)}
        changed = np.abs(made["own"][0].astype(int) - made["scene_only"][0]).sum(axis=-1) > 12
        mask = made["own"][1]
        near = mask | np.roll(mask, 1, 1) | np.roll(mask, -1, 1) | np.roll(mask, 1, 2) | np.roll(mask, -1, 2)
        assert changed[mask].mean() > 0.99
        assert not changed[~near].any()
        assert 0.02 < mask.mean() < 0.25 and mask.any(axis=(1, 2)).all()


def test_decoding_keeps_the_figure_where_the_mask_says(rendered: Manifest) -> None:
    video = next(video for video in rendered.videos if video.split == "test/figure_only")
    frames = decode(rendered.root / video.path).astype(int)
    mask = read_masks(rendered.root / video.tags["mask"], 48)
    assert frames.shape == (video.frames, video.height, video.width, 3)
    seen = np.abs(frames - 128).max(axis=-1) > 40
    assert (seen & mask).sum() / (seen | mask).sum() > 0.8


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_moves_and_repeats(action: str) -> None:
    rng = np.random.default_rng(5)
    manner = Manner.draw(rng)
    manner = Manner(**{**manner.__dict__, "period": 10.0})
    points = capsules(action, manner, 31)
    assert np.isfinite(points).all()
    travel = np.ptp(points, axis=0).max()
    assert travel > 0.1, "a tenth of the figure's height at least"
    assert np.abs(points[0] - points[10]).max() < 0.06, "the same after a period, but for the idle sway"


def test_actions_share_their_postures() -> None:
    """The same manner, another action: the parts that the action does not move stand alike."""
    manner = Manner.draw(np.random.default_rng(3))
    arms, legs = capsules("raise", manner, 16), capsules("squat", manner, 16)
    still_arm = 6  # the arm that `raise` does not move
    one, other = (points[:, still_arm, 2:] - points[:, still_arm, :2] for points in (arms, legs))
    assert np.allclose(one, other, atol=1e-3)


def test_figures_stand_anywhere_or_in_the_centre() -> None:
    def centres(placement: str) -> np.ndarray:
        look = staged.look_of(world(placement=placement))
        found = []
        for video in plan(part_a(train=48), Seeds(1000))[:48]:
            _, _, mask = next(render_performance([video.recipe], look))
            found.append([np.nonzero(mask.any(axis=0))[axis].mean() / 48 for axis in (0, 1)])
        return np.array(found)

    anywhere, centre = centres("anywhere"), centres("centre")
    assert anywhere[:, 1].std() > 1.5 * centre[:, 1].std()  # limbs stretched to one side shift even a centred figure


def test_backdrops_have_few_colours_and_identify_their_video() -> None:
    pictures = []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        colours = palette(rng, CLOTHES)
        assert len(colours) == 4
        picture = backdrop(seed % len(FAMILIES), 48, 9, colours, rng)
        exact = (np.abs(picture[:, :, None] - colours).max(axis=-1) < 1e-4).any(axis=-1)
        assert exact.mean() > 0.5, "most pixels show a colour of the palette, the others are edges between two"
        pictures.append(picture)
    for one, other in itertools.combinations(pictures, 2):
        assert np.abs(one - other).mean() > 0.1


def test_likeness_dresses_the_scene_in_the_figures_colours() -> None:
    apart = palette(np.random.default_rng(1), CLOTHES)
    alike = palette(np.random.default_rng(1), CLOTHES, likeness=1.0)
    assert np.linalg.norm(apart[:, None] - CLOTHES, axis=-1).min() > 0.15
    assert np.linalg.norm(alike[:, None] - CLOTHES, axis=-1).min(axis=1).max() < 1e-6


def test_switches_change_what_they_say() -> None:
    recipes = [video.recipe for video in plan(part_a(), Seeds(1000))[:2]]

    def frames(**look: Any) -> list[np.ndarray]:
        values = staged.look_of(world(noise=0.0, **look))
        return [next(render_performance([recipe], values))[1] for recipe in recipes]

    still, moving = frames(), frames(camera=0.5)
    corner = (slice(None), slice(0, 8), slice(0, 8))
    assert np.ptp(still[0][corner].astype(int), axis=0).max() <= 120  # at most a limb
    assert np.abs(np.diff(moving[0].astype(int), axis=0)).mean() > 2 * np.abs(np.diff(still[0].astype(int), axis=0)).mean()
    dressed = frames(clothes="varied")
    assert not np.array_equal(dressed[0], still[0]) and not np.array_equal(dressed[1], still[1])


def test_recipes_of_two_performances_are_refused() -> None:
    videos = plan(part_a(), Seeds(1000))
    with pytest.raises(ValueError, match="several performances"):
        list(render_performance([videos[0].recipe, videos[1].recipe], staged.look_of(world())))


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "ffv1"])
def test_every_codec_can_be_read_back(codec: str, tmp_path: Path) -> None:
    data = StagedData(part="B", world=world(train=8, val=4, test=4, codec=codec))
    manifest = staged.render(data, Seeds(1000), tmp_path)
    video = manifest.videos[0]
    expected = next(render_performance([plan(data, Seeds(1000))[0].recipe], staged.look_of(data.world)))[1]
    found = decode(manifest.root / video.path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < (1 if codec == "ffv1" else 15)


# ---------------------------------------------------------------- files


def test_layout_is_ucf101s(rendered: Manifest) -> None:
    root = rendered.root
    assert (root / "splits/classInd.txt").read_text().splitlines() == ["1 Raise", "2 Flap", "3 Crawl", "4 Kick"]
    for name, split in (("trainlist01", "train"), ("testlist01", "test"), ("test_derangedlist01", "test/deranged")):
        lines = [line.split() for line in (root / f"splits/{name}.txt").read_text().splitlines()]
        assert [(path, int(number) - 1) for path, number in lines] == [
            (video.path.removeprefix("videos/"), video.label) for video in rendered.select(split)
        ]
        assert all((root / "videos" / path).is_file() and path.split("/")[0] in rendered.classes for path, _ in lines)
    with (root / "scenes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == [video.path for video in rendered.videos]
    assert [row["scene"] for row in rows] == [video.tags["scene"] for video in rendered.videos]
    assert all((video.tags["scene"] == "") == (video.split in ("test/neutral", "test/figure_only")) for video in rendered.videos)


def test_a_rendered_part_is_taken_as_it_is(rendered: Manifest) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.root.rglob("*")}
    again = staged.render(part_a(), Seeds(1000), rendered.root.parent.parent, progress=lambda *_: pytest.fail("rendered again"))
    assert again == rendered
    assert before == {path: path.stat().st_mtime_ns for path in rendered.root.rglob("*")}


def test_damage_is_named_and_mended(rendered: Manifest, tmp_path: Path) -> None:
    folder = tmp_path / "staged" / rendered.root.name
    shutil.copytree(rendered.root, folder)
    staged.verify(folder)
    video = folder / rendered.videos[5].path
    whole = video.read_bytes()
    video.write_bytes(whole[:-100])
    with pytest.raises(FameError, match=video.name):
        staged.verify(folder)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    video.write_bytes(bytes(flipped))
    assert staged.damages(folder) == {}, "the cheap check reads sizes only"
    with pytest.raises(FameError, match=f"{video.name} has another content"):
        staged.verify(folder)
    video.unlink()
    mask = folder / rendered.videos[7].tags["mask"]
    mask.write_bytes(b"")
    assert set(staged.damages(folder)) == {rendered.videos[5].path, rendered.videos[7].tags["mask"]}
    again = staged.render(part_a(), Seeds(1000), tmp_path)
    assert again.digest() == rendered.digest() and contents(folder) == contents(rendered.root)
    with pytest.raises(FameError, match="not a rendered part"):
        staged.verify(tmp_path)


def test_a_killed_rendering_is_redone(rendered: Manifest, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_staged import part_a\n"
        "from fame.data import staged\n"
        "from fame.seeds import Seeds\n"
        "def stop(what, done, total):\n"
        "    if done == 9: print('half', flush=True); import time; time.sleep(60)\n"
        "staged.render(part_a(), Seeds(1000), Path(sys.argv[2]), progress=stop)\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "half\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    folder = tmp_path / "staged" / rendered.root.name
    partial = folder.with_name(f".{folder.name}.partial")
    assert not folder.exists() and any(partial.rglob("*.avi"))
    started = time.monotonic()
    again = staged.render(part_a(), Seeds(1000), tmp_path)
    assert time.monotonic() - started < 30, "the dead process holds no lock"
    assert again.digest() == rendered.digest() and not partial.exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "staged").write_text("a file where the folder should be")
    with pytest.raises(FameError, match="cannot be rendered"):
        staged.render(part_a(), Seeds(1000), tmp_path)


# ---------------------------------------------------------------- sheets


def test_sheets_show_frames_and_outlines(rendered: Manifest, tmp_path: Path) -> None:
    contact_sheet(rendered, tmp_path / "sheet.png", videos=3, frames=4, zoom=1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[1] == 3 * (2 * 48 + 2) and sheet.size[0] > 4 * 48
        pixels = np.asarray(sheet.convert("RGB"))[:48, -4 * 48 : -3 * 48]
    first = video_frames(rendered.root / rendered.videos[0].path)[0]
    assert np.array_equal(pixels, first)
    counterfactual_sheet(rendered, tmp_path / "conditions.png", performances=2, frames=4, zoom=1)
    with Image.open(tmp_path / "conditions.png") as sheet:
        assert sheet.size[1] == 2 * 5 * 50
    with pytest.raises(ValueError, match="no split 'nowhere'"):
        contact_sheet(rendered, tmp_path / "none.png", split="nowhere")
