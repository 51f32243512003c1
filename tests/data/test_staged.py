"""The embedded benchmark's files: the same every time, and mended where they are damaged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from fame.config import Condition, StagedData, StagedPart, StagedWorld
from fame.data.manifest import Manifest
from fame.data.staged import videos as staged
from fame.data.staged.plan import couple, plan
from fame.data.staged.render import render_performance
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


@pytest.fixture(name="rendered", scope="module")
def rendered_part(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return staged.render(part_a(), Seeds(1000), tmp_path_factory.mktemp("cache"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_workers_make_the_same_bytes_as_one(rendered: Manifest, tmp_path: Path) -> None:
    other = staged.render(part_a(), Seeds(1000), tmp_path, jobs=2)
    assert contents(other.root) == contents(rendered.root)
    assert other.digest() == rendered.digest()


def test_another_replicate_is_another_world(rendered: Manifest) -> None:
    data = part_a()
    assert data.digest(Seeds(1000).of("staged")) == rendered.root.name != data.digest(Seeds(1001).of("staged"))
    here, there = plan(data, Seeds(1000)), plan(data, Seeds(1001))
    assert not {video.recipe.motion for video in here} & {video.recipe.motion for video in there}
    couplings = {tuple(couple(BASE, Seeds(replicate))) for replicate in range(8)}
    assert len(couplings) > 4


def test_a_part_does_not_depend_on_the_other_parts_configuration() -> None:
    one = world()
    other = one.model_copy(update={"B": one.B.model_copy(update={"train": 64})})
    assert StagedData(part="A", world=one).digest(0) == StagedData(part="A", world=other).digest(0)
    assert StagedData(part="B", world=one).digest(0) != StagedData(part="B", world=other).digest(0)


def test_performances_differ_between_videos_and_splits() -> None:
    videos = plan(part_a(), Seeds(1000))
    motions = defaultdict(set)
    for video in videos:
        motions[video.recipe.motion].add(video.performance)
    assert all(len(names) == 1 for names in motions.values())
    assert len(motions) == 16 + 8 + 16 + 8 + 8


def test_a_golden_recipe_keeps_its_pixels() -> None:
    """A changed generator needs a new `StagedWorld.version` (and a line in docs/notebook/benchmark-log.md)."""
    videos = plan(part_a(), Seeds(1000))
    look = world()
    _, frames, mask = next(render_performance([videos[0].recipe], look))
    found = (world().version, int(mask.sum()), frames.reshape(24, -1).mean().round(0))
    assert found == GOLDEN, "the generator changed: raise StagedWorld.version, log it in docs/notebook/benchmark-log.md, renew this"


GOLDEN = (1, 3768, 86.0)


def test_the_manifest_says_where_each_video_lies_and_which_scene_it_shows(rendered: Manifest) -> None:
    assert rendered.classes == ["Raise", "Flap", "Crawl", "Kick"]
    for video in rendered.videos:
        assert (rendered.root / video.path).is_file() and video.path.split("/")[1] == rendered.classes[video.label]
        assert (video.tags["scene"] == "") == (video.split in ("test/neutral", "test/figure_only"))
        assert (video.tags["mask"] == "") == (video.split == "test/scene_only")


def test_a_rendered_part_is_taken_as_it_is(rendered: Manifest) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.root.rglob("*")}
    again = staged.render(part_a(), Seeds(1000), rendered.root.parent.parent, progress=lambda *_: pytest.fail("rendered again"))
    assert again == rendered
    assert before == {path: path.stat().st_mtime_ns for path in rendered.root.rglob("*")}


def test_damage_is_named_and_mended(rendered: Manifest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "staged" / rendered.root.name
    shutil.copytree(rendered.root, folder)
    (folder / rendered.videos[5].path).unlink()
    for name in (rendered.videos[6].path, rendered.videos[7].tags["mask"]):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (folder / name).write_bytes(content)
    again = staged.render(part_a(), Seeds(1000), tmp_path)
    assert again.digest() == rendered.digest() and contents(folder) == contents(rendered.root)
    assert "3 files are damaged or gone" in caplog.text


def test_a_killed_rendering_is_redone(rendered: Manifest, tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from tests.data.test_staged import part_a\n"
        "from fame.data.staged import videos as staged\n"
        "from fame.seeds import Seeds\n"
        "def stop(what, done, total):\n"
        "    if done == 9: print('half', flush=True); import time; time.sleep(60)\n"
        "staged.render(part_a(), Seeds(1000), Path(sys.argv[2]), progress=stop)\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parents[1]), str(tmp_path)]
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
    with pytest.raises(FameError, match="cannot be written"):
        staged.render(part_a(), Seeds(1000), tmp_path)
