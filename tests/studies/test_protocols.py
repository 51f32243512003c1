"""Protocols: what the other one changes; kept in setting.json and named."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fame.config import Pretrain, VideoData
from fame.errors import FameError
from reports import tables
from reports.content import content, too_short
from studies.harness.store import Store
from studies.paper.registry import FINDINGS, STUDIES, studies
from studies.setting.asked import resolve
from studies.setting.cell import Stage
from studies.setting.options import Options
from studies.setting.recording import described
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import CORRECTED, OFFICIAL, PAPER, SMOKE
from studies.study import fame, top1
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.filled import seen
from tests.programs import ran
from tests.videos import moving_square, write_video

NATIVE = VideoData(kind="ucf101", manifest="0123456789ab", short_side=None)
STORED = VideoData(kind="ucf101", manifest="0123456789ab")


def stages(setting: Setting) -> dict[str, Stage]:
    return {stage_id: stage for stage_id, (stage, _) in all_stages(setting, (*STUDIES, *FINDINGS)).items()}


def test_official_changes_every_id_but_those_without_videos() -> None:
    default, other = stages(Setting(PAPER, {"A": STORED})), stages(Setting(PAPER, {"A": NATIVE}, protocol=OFFICIAL))
    shared = [default[stage_id].config for stage_id in set(default) & set(other)]
    assert shared
    for config in shared:
        assert (config.objective.kind if isinstance(config, Pretrain) else config.stage) in ("random", "kernels")


def pretraining(setting: Setting, method: Any) -> Pretrain:
    stage = setting.pretraining(method)
    assert stage is not None and isinstance(stage.config, Pretrain)
    return stage.config


def test_every_choice_arrives_in_the_configuration_and_is_unlike_the_default() -> None:
    for choice in OFFICIAL.choices:
        found = {}
        for setting in (Setting(PAPER, {"A": STORED}), Setting(PAPER, {"A": NATIVE}, protocol=OFFICIAL)):
            config, masks = pretraining(setting, fame()), setting.evaluation("masks", setting.data("A"))  # type: ignore[arg-type]
            assert config.clip == setting.clip == masks.clip  # type: ignore[union-attr]
            group = config.contrast.merge if choice.group == "merge" else getattr(config, choice.group)
            found[setting.protocol] = getattr(group, choice.field)
        assert found[OFFICIAL] == choice.value != found[CORRECTED]
        assert choice.does and choice.source


def test_a_row_that_names_its_flavour_keeps_it() -> None:
    def flavour(method: Any) -> str:
        config = pretraining(Setting(PAPER, {"A": NATIVE}, protocol=OFFICIAL), method)
        assert config.contrast.merge is not None
        return config.contrast.merge.flavour

    assert [flavour(method) for method in (fame(), fame(variant="grid"), fame(flavour="paper"), fame(flavour="official"))] == [
        "official", "official", "paper", "official"
    ]  # fmt: skip
    quirks = next(study for study in FINDINGS if study.name == "quirks")
    setting = Setting(SMOKE, protocol=OFFICIAL)
    pretrained = {setting.pretraining(row.method) for row in quirks.rows if row.method}
    assert len(pretrained) == len(quirks.rows), "each of its rows is about a flavour, so none becomes another"


# ---------------------------------------------------------------- what was asked for


# ---------------------------------------------------------------- reports and documents


def test_every_table_and_the_report_name_the_protocol(tmp_path: Path) -> None:
    (study,) = studies(["area_ratio/0.5/single"])
    store = Store(tmp_path / "out").prepare()
    setting = Setting(SMOKE, {"A": VideoData(kind="folder", manifest="0" * 12, short_side=None)}, protocol=OFFICIAL)
    chosen = setting.stage(study.rows[0], top1("A"))
    assert chosen is not None
    result = {"stage": chosen.id, "kind": "finetune", "replicate": 0, "metrics": {"top1": 40.0}}
    notes = {"too_short": {"test": 3, "train": 1}}
    store.begin(chosen, 0)
    store.finish(chosen, 0, result | {"notes": notes, "seconds": 1.0})
    evidence = seen(store, setting, (0,), (study,))
    found = tables.entries(evidence, study.name)
    paths = tables.write(evidence, described(study), found, tmp_path)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert all("protocol official, version 1" in text for text in texts[1:])
    assert {line["protocol"] for line in csv.DictReader(texts[0].splitlines())} == {"official 1"}
    report = content(evidence, "unknown", None)
    assert report["protocol"] == {"name": "official", "version": 1}
    assert report["too_short"] == too_short(evidence) == {"folder": {"test": 3, "train": 1}}


# ---------------------------------------------------------------- end to end


def small_set(root: Path) -> Path:
    """Two classes of videos of several sizes; one of each split and class is too short."""
    for split, many in (("train", 6), ("test", 4)):
        for name in "ab":
            for index in range(many):
                height, width = ((40, 56), (36, 44))[index % 2]
                shown = moving_square(6 if index == 1 else 14, height, width, seed=10 * index + (name == "b"))
                write_video(root / split / name / f"{split}{index}.avi", shown)
    return root


def test_real_videos_are_asked_for_at_native_size_and_a_small_one_stops_the_plan(tmp_path: Path) -> None:
    root = small_set(tmp_path / "set")
    asked = resolve(Options(scale="smoke", dataset="folder", data_root=root, protocol="official"), tmp_path / "cache", 1)
    assert asked.setting.sets["A"].short_side is None
    stored = resolve(Options(scale="smoke", dataset="folder", data_root=root), tmp_path / "cache", 1).setting.sets["A"]
    assert stored.short_side == SMOKE.short_side
    assert stored.manifest == asked.setting.sets["A"].manifest
    for options, told in (
        ({"size": 40}, r"train1\.avi is of 44 x 36 pixels"),
        ({"frames": 8}, "shorter than the 16 frames"),
    ):
        with pytest.raises(FameError, match=told):
            resolve(
                Options(scale="smoke", dataset="folder", data_root=root, protocol="official", **options),
                tmp_path / "cache",
                1,
            )
        resolve(Options(scale="smoke", dataset="folder", data_root=root, **options), tmp_path / "cache", 1)


def test_data_prepare_stores_what_the_protocol_reads(tmp_path: Path, typed: Typed, capfd: Captured) -> None:
    words = ["data", "prepare", "--dataset", "folder", "--data-root", str(small_set(tmp_path / "set")), "--scale", "smoke"]
    assert typed(*words, "--jobs", "1", "--protocol", "official") == 0
    assert "-native-raw: 20 videos" in capfd.readouterr().out.replace("\n", "")
    stored = Path("out/cache/videos").glob("*-native-raw/*/*.npy")
    assert {np.load(path).shape[1:] for path in stored} == {(40, 56, 3), (36, 44, 3)}


@pytest.mark.long
def test_official_from_the_command_line_to_the_report(tmp_path: Path) -> None:
    words = ["--scale", "smoke", "--device", "cpu", "--dataset", "folder", "--data-root", str(small_set(tmp_path / "set"))]
    ran(*words, "--protocol", "official", "--only", "area_ratio/0.5/single", cwd=tmp_path)
    folder = tmp_path / "out" / "report"
    report = json.loads((folder / "report.json").read_text())
    assert report["protocol"]["name"] == "official"
    assert "--protocol official --replicates" in report["command"]
    assert report["too_short"]["folder"]["test"] == 2
    assert report["too_short"]["folder"]["train"] == 2
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "protocol official, version 1" in page
    assert "clip.resize" in page and "2 videos of test" in page
    results = [json.loads(path.read_text()) for path in (tmp_path / "out" / "runs").rglob("result.json")]
    assert {result["kind"] for result in results} == {"pretrain", "finetune", "probe"}
    (finetuned,) = (result for result in results if result["kind"] == "finetune")
    assert finetuned["notes"]["videos"]["test"] == 6
    (folder / ".stamp.json").unlink()
    ran("report", cwd=tmp_path)
    assert json.loads((folder / "report.json").read_text())["tables"] == report["tables"]
