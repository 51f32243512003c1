"""--fold all: every fold's cells, one store of frames, numbers that are means over folds or none."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fame.config import Clip, VideoData
from fame.data import open_videos
from fame.data.store import ready_file
from fame.seeds import Seeds
from studies.harness.plan import make_plan
from studies.harness.status import recall
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.records import Runs
from studies.setting.asked import Asked, resolve
from studies.setting.options import Options
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import PAPER
from studies.study import Row, fame, top1
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.filled import seen
from tests.miniatures import put
from tests.programs import ran
from tests.videos import moving_square, write_video

GROUPS = 9  # of each class; three of them are the tests of a fold
CLIP = Clip(frames=4, stride=1, size=16)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A UCF101 of two classes and nine groups with three official folds, every video another one."""
    root = tmp_path_factory.mktemp("ucf")
    names = ("Archery", "Biking")
    put(root / "ucfTrainTestlist" / "classInd.txt", "".join(f"{at} {name}\n" for at, name in enumerate(names, 1)))
    listed: dict[tuple[str, int], list[str]] = {}
    for at, name in enumerate(names):
        for group in range(GROUPS):
            path = f"{name}/v_{name}_g{group + 1:02d}_c01.avi"
            write_video(root / "UCF-101" / path, moving_square(6 + group, 32, 40, seed=10 * at + group))
            for fold in (1, 2, 3):
                split = "test" if group // 3 == fold - 1 else "train"
                listed.setdefault((split, fold), []).append(path if split == "test" else f"{path} {at + 1}")
    for (split, fold), lines in listed.items():
        put(root / "ucfTrainTestlist" / f"{split}list{fold:02d}.txt", "\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def asked(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Asked, Path]:
    out = tmp_path_factory.mktemp("out")
    return resolve(Options(scale="smoke", dataset="ucf101", data_root=small, fold="all"), Store(out).prepare().cache, 1), out


# ---------------------------------------------------------------- what is asked for


def test_every_cell_stands_once_a_fold_and_the_first_is_the_single_fold_s(asked: tuple[Asked, Path], small: Path) -> None:
    whole, out = asked
    singles = [resolve(Options(scale="smoke", dataset="ucf101", data_root=small, fold=fold), Store(out).cache, 1) for fold in "123"]
    ids = [set(all_stages(one.setting, STUDIES)) for one in singles]
    assert set(all_stages(whole.setting, STUDIES)) == set.union(*ids)
    shared = set.intersection(*ids)
    for stage, _ in all_stages(whole.setting, STUDIES).values():
        twins = whole.setting.folded(stage) if stage.id in ids[0] else ()
        assert stage.id not in shared or len(twins) == 1  # random initialisation knows no video
        for fold, twin in enumerate(twins, 1):
            data: Any = [getattr(link.config, "data", None) for link in twin.chain()]
            assert {one.fold for one in data if one} <= {fold} and twin.id in ids[fold - 1]


def test_what_is_pretrained_on_another_set_is_pretrained_once() -> None:
    def of(kind: str, fold: int = 1) -> VideoData:
        return VideoData(kind=kind, manifest=f"{kind}{fold}", fold=fold)  # type: ignore[arg-type]

    further = tuple({part: of(kind, fold) for part, kind in (("A", "ucf101"), ("B", "hmdb51"))} for fold in (2, 3))
    sets = {"A": of("ucf101"), "B": of("hmdb51"), "source": of("kinetics400"), "C": of("diving48")}
    setting = Setting(PAPER, sets, "paper", folds=further)
    on_source = setting.stage(Row("", fame(on="source")), top1("A"))
    on_target = setting.stage(Row("", fame()), top1("C"))
    assert on_source and on_target
    assert len({twin.upstream.id for twin in setting.folded(on_source) if twin.upstream}) == 1
    assert len(setting.folded(on_source)) == len(setting.folded(on_target)) == 3  # one encoder a fold of UCF101


def test_setting_json_brings_the_folds_back(asked: tuple[Asked, Path], small: Path, tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    store.write_setting(asked[0].to_json())
    assert recall(store) == asked[0]
    single = resolve(Options(scale="smoke", dataset="ucf101", data_root=small), Store(asked[1]).cache, 1)
    assert len(single.folds) == 1
    counts = [asked[0].sizes(data) for data in asked[0].setting.every_set]
    assert len(counts) == 3 and {count["test"] for count in counts} == {6}


def test_the_disk_of_three_folds_is_that_of_one(asked: tuple[Asked, Path], tmp_path: Path) -> None:
    whole, store = asked[0], Store(tmp_path).prepare()

    def planned(setting: Setting) -> Any:
        return make_plan(store, all_stages(setting, STUDIES), (0,), 1, "cpu", whole.sizes)

    three, one = planned(whole.setting), planned(replace(whole.setting, folds=()))
    assert len(three.tasks) > 2 * len(one.tasks)
    assert three.bytes < 2 * one.bytes


def test_a_search_wants_one_fold(small: Path, typed: Typed, capfd: Captured) -> None:
    assert typed("search", "--scale", "smoke", "--dataset", "ucf101", "--data-root", str(small), "--fold", "all") == 2
    assert "error: --fold all: a search looks at the validation videos of one fold; name it" in capfd.readouterr().err


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_folds_share_one_store_and_each_sees_its_own_videos(
    codec: Any, asked: tuple[Asked, Path], small: Path, tmp_path: Path
) -> None:
    shown = []
    for data in asked[0].setting.every_set:
        data = data.model_copy(update={"codec": codec, "short_side": 32})
        about = (data.manifest, tmp_path, 32, codec)
        assert not ready_file(*about).exists()
        videos = open_videos(data, Seeds(0), tmp_path, small, 1)
        assert ready_file(*about).exists()
        again = pickle.loads(pickle.dumps(videos))
        rows = torch.arange(len(videos))
        clips, same = (one.clips(rows, torch.zeros_like(rows), CLIP) for one in (videos, again))
        assert isinstance(clips, torch.Tensor) and torch.equal(clips, same)  # type: ignore[arg-type]
        shown.append({video.path: clips[row] for row, video in enumerate(videos.manifest.videos)})
        paths = [video.path for video in videos.manifest.videos if video.split == "test"]
        assert {int(path.partition("_g")[2][:2]) for path in paths} == {3 * data.fold - 2, 3 * data.fold - 1, 3 * data.fold}
    assert len(list((tmp_path / "videos").glob("*/*/*"))) == len(shown[0])
    first = shown[0]
    assert len({clip.numpy().tobytes() for clip in first.values()}) == len(first)  # or any order would do
    assert all(torch.equal(first[path], other[path]) for other in shown for path in first)


def test_all_folds_are_prepared_into_one_store(small: Path, typed: Typed) -> None:
    words = ["data", "prepare", "--dataset", "ucf101", "--data-root", str(small), "--fold", "all", "--codec", "jpeg"]
    words += ["--scale", "smoke", "--jobs", "1"]
    assert typed(*words) == 0
    files = sorted(Path("out/cache/videos").glob("*/*/*.jpegs"))
    assert len(files) == 2 * GROUPS


# ---------------------------------------------------------------- numbers


def finish(store: Store, stage: Any, value: float, videos: list[str]) -> None:
    """A finished run of replicate 0 with this accuracy, and its predictions."""
    folder = store.folder(stage.id, 0)
    folder.mkdir(parents=True)
    right = round(value / 100 * len(videos))
    frame = pd.DataFrame({"video": videos, "label": 0, "predicted": [0] * right + [1] * (len(videos) - right)})
    frame = frame.assign(head="biased", condition="own", performance="", scene_action=np.nan)
    frame.to_csv(folder / "predictions.csv", index=False)
    about = {
        "stage": stage.id,
        "kind": stage.kind,
        "replicate": 0,
        "metrics": {"top1": value},
        "artifacts": ["predictions.csv"],
    }
    store.finish(stage, 0, about)


def test_a_number_is_the_mean_of_all_folds_or_none(asked: tuple[Asked, Path], tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    setting = asked[0].setting
    stage = setting.stage(Row("", fame()), top1("A"))
    assert stage is not None
    twins = setting.folded(stage)
    for fold, value in enumerate((50.0, 100.0)):
        finish(store, twins[fold], value, ["a", "b", "c", "d"])
        assert seen(store, setting, (0,)).values(Runs("finetune", tuple(twin.id for twin in twins)), "top1") == {}
    finish(store, twins[2], 0.0, ["a", "b", "c", "d"])
    evidence, runs = seen(store, setting, (0,)), Runs("finetune", tuple(twin.id for twin in twins))
    assert evidence.values(runs, "top1") == {0: 50.0}
    sample = evidence.sample(runs, "top1", 0)
    assert sample is not None and sample.index.is_unique
    assert len(sample) == 12 and sample.mean() == pytest.approx(50.0)
    assert evidence.values(Runs("finetune", (stage.id,)), "top1") == {0: 50.0}  # fold 1 alone: its own number
    assert "--dataset ucf101 --data-root DIR --fold all --replicates 1" in asked[0].command()


@pytest.mark.long
def test_the_chain_runs_in_all_folds(small: Path, tmp_path: Path) -> None:
    words = ["--scale", "smoke", "--device", "cpu", "--dataset", "ucf101", "--data-root", str(small)]
    ran(*words, "--fold", "all", "--only", "background_source", cwd=tmp_path)
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert report["runs"]["planned"] == report["runs"]["finished"]
    assert report["videos"]["folds"] == 3
    done = [entry for entry in report["tables"]["background_source"] if entry["status"] == "done"]
    assert done and all(entry["videos"] == 18 for entry in done)  # six tests a fold
    assert "means over folds 1 to 3" in (tmp_path / "out" / "report" / "index.html").read_text()
