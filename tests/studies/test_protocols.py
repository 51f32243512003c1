"""Protocols: the default changes nothing, the other one what it says, field by field; both survive setting.json and are named."""

from __future__ import annotations

import csv
import json
import logging
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_study
from fame.config import Finetune, Masks, Optim, Pretrain, Probe, Retrieval, VideoData
from fame.errors import FameError
from fame.files import write_json
from reports import tables
from reports.content import command_of, content, too_short
from reports.evidence import Evidence
from studies.harness.store import RESULT, Store
from studies.paper.registry import FINDINGS, STUDIES, studies
from studies.setting.asked import recall
from studies.setting.cell import Stage, canonical
from studies.setting.choices import Choices, resolve
from studies.setting.protocols import BEGIN, CORRECTED, END, OFFICIAL, SCHEDULES, Protocol, protocol, schedule, written_into
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import PAPER, SCALES, SMOKE, scale
from studies.study import Row, fame, moco, top1
from tests.videos import moving_square, write_video

ROOT = Path(__file__).resolve().parents[2]
NATIVE = VideoData(kind="ucf101", manifest="0123456789ab", short_side=None)
STORED = VideoData(kind="ucf101", manifest="0123456789ab")
NEW = ("short", "resize", "blur_sigma", "blur_once", "test_every", "normalised", "unfrozen")  # fields that protocols brought


def stages(setting: Setting) -> dict[str, Stage]:
    return {stage_id: stage for stage_id, (stage, _) in all_stages(setting, (*STUDIES, *FINDINGS)).items()}


@pytest.mark.parametrize("name", SCALES)
def test_corrected_says_nothing_that_was_not_said_before(name: str) -> None:
    """No id holds a field that came with protocols, so all are what they were."""
    for videos in (None, STORED) if scale(name).world else (STORED,):
        for stage in stages(Setting(scale(name), videos)).values():
            told = canonical(stage.identity())
            assert not [field for field in NEW if f'"{field}"' in told]
            assert not isinstance(stage.config, Retrieval) or '"mean"' not in told


def test_a_stage_of_the_default_path_keeps_its_id() -> None:
    """Pinned before protocols were there."""
    setting = Setting(PAPER, STORED)
    found = {stage.kind: stage_id for stage_id, (stage, _) in all_stages(setting, studies(["retrieval/FAME"])).items()}
    assert setting.protocol == CORRECTED
    assert found == {"pretrain": "0b0998eec872", "retrieval": "d7ea52e124f4"}


@pytest.mark.parametrize(
    ("ranks", "rules", "asked", "sampling"),
    [
        (8, OFFICIAL, None, "released"),
        (8, OFFICIAL, "once", "once"),
        (1, OFFICIAL, None, "once"),  # the same numbers by either name, so one id
        (8, CORRECTED, None, "once"),
        (8, CORRECTED, "released", "released"),
    ],
)
def test_which_videos_ranks_see_is_the_protocol_s_to_say_unless_it_was_asked(
    ranks: int, rules: Protocol, asked: Any, sampling: str
) -> None:
    setting = Setting(replace(PAPER, ranks=ranks, sampling=asked), NATIVE, protocol=rules)
    found = setting.pretraining(fame())
    assert found is not None and isinstance(found.config, Pretrain) and found.config.contrast.sampling == sampling


def test_official_changes_every_id_but_those_without_videos() -> None:
    default, other = stages(Setting(PAPER, STORED)), stages(Setting(PAPER, NATIVE, protocol=OFFICIAL))
    shared = [default[stage_id].config for stage_id in set(default) & set(other)]
    kinds = {config.objective.kind if isinstance(config, Pretrain) else config.stage for config in shared}
    assert kinds <= {"random", "kernels"}
    assert shared


def official(method: Any, protocol: str = "finetune", sized: Any = PAPER) -> Stage:
    setting = Setting(sized, NATIVE, protocol=OFFICIAL)
    stage = setting.stage(Row("", method), top1("A", "probe" if protocol == "probe" else "finetune"))
    assert stage is not None
    return stage


def test_every_choice_arrives_in_the_configuration_and_is_unlike_the_default() -> None:
    both, several = {}, replace(PAPER, ranks=8)
    for name, setting in {"corrected": Setting(several, STORED), "official": Setting(several, NATIVE, protocol=OFFICIAL)}.items():
        chosen = {kind: setting.evaluation(kind, setting.videos) for kind in ("finetune", "probe", "retrieval")}  # type: ignore[arg-type]
        pretrained = setting.pretraining(fame())
        assert pretrained is not None and isinstance(pretrained.config, Pretrain) and isinstance(chosen["probe"], Probe)
        assert pretrained.config.clip == chosen["finetune"].clip == chosen["retrieval"].clip == setting.clip  # type: ignore[union-attr]
        both[name] = {
            "data": pretrained.config.data, "clip": setting.clip, "augment": pretrained.config.augment,
            "merge": pretrained.config.contrast.merge, "pretrain": pretrained.config.contrast,
            "probe.augment": chosen["probe"].augment, **chosen,
        }  # fmt: skip
    for choice in OFFICIAL.choices:
        assert getattr(both["official"][choice.group], choice.field) == choice.value
        assert getattr(both["corrected"][choice.group], choice.field) != choice.value, choice
        assert choice.corrected and choice.does and choice.source
    masks = Setting(PAPER, NATIVE, protocol=OFFICIAL).evaluation("masks", NATIVE)
    assert isinstance(masks, Masks) and masks.clip.resize is False and masks.clip.short == "dropped"
    assert isinstance(both["official"]["finetune"], Finetune) and both["official"]["finetune"].augment.grayscale == 0.2


def test_a_row_that_names_its_flavour_keeps_it() -> None:
    def flavour(method: Any) -> str:
        config = official(method).chain()[0].config
        assert isinstance(config, Pretrain) and config.contrast.merge is not None
        return config.contrast.merge.flavour

    assert [flavour(method) for method in (fame(), fame(variant="grid"), fame(flavour="paper"), fame(flavour="official"))] == [
        "official", "official", "paper", "official"
    ]  # fmt: skip
    quirks = next(study for study in FINDINGS if study.name == "quirks")
    setting = Setting(SMOKE, protocol=OFFICIAL)
    pretrained = {setting.pretraining(row.method) for row in quirks.rows if row.method}
    assert len(pretrained) == len(quirks.rows), "each of its rows is about a flavour, so none becomes another"


# ---------------------------------------------------------------- schedules


def test_schedules_are_scaled_to_the_epochs_and_enter_the_id() -> None:
    assert schedule("supplement").applied(Optim()) == Optim(schedule="step", milestones=(120, 180))
    assert schedule("released_step").applied(Optim(epochs=50)) == Optim(epochs=50, schedule="step", milestones=(30, 40))
    assert schedule("cosine").applied(Optim()) == Optim()
    asked = {name: resolve(Choices("smoke", schedule=name, epochs=10), Path("cache"), 1).setting for name in SCHEDULES}
    found = {name: setting.pretraining(moco()) for name, setting in asked.items()}
    steps = {name: (stage.config.optim.schedule, stage.config.optim.milestones) for name, stage in found.items()}  # type: ignore[union-attr]
    assert steps == {"cosine": ("cosine", ()), "supplement": ("step", (6, 9)), "released_step": ("step", (6, 8))}
    plain = resolve(Choices("smoke", epochs=10), Path("cache"), 1).setting.pretraining(moco())
    assert plain == found["cosine"] and len({stage.id for stage in found.values() if stage}) == 3
    longer = asked["supplement"].pretraining(moco(optim={"epochs_times": 2}))
    assert longer is not None and longer.config.optim.milestones == (12, 18)  # type: ignore[union-attr]


# ---------------------------------------------------------------- what was asked for


def test_protocol_and_schedule_come_back_from_setting_json_and_stand_in_the_command(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    asked = resolve(Choices("smoke", studies=("retrieval",), protocol="official", schedule="supplement"), store.cache, 1)
    store.write_setting(asked.to_json())
    assert json.loads((tmp_path / "setting.json").read_text())["protocol"] == {"name": "official", "version": OFFICIAL.version}
    back = recall(Store(tmp_path))
    assert back == asked and back.setting.protocol == OFFICIAL
    told = command_of(Evidence(store, back.setting, (0,)), back.studies, store.setting() or {})
    assert "--protocol official" in told and "--schedule supplement" in told
    plain = resolve(Choices("smoke"), store.cache, 1)
    assert "protocol" not in plain.to_json()
    assert "--protocol" not in command_of(Evidence(store, plain.setting, (0,)), plain.studies, {})


def test_a_setting_of_another_version_of_a_protocol_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path).prepare()
    value = resolve(Choices("smoke", protocol="official"), store.cache, 1).to_json()
    store.write_setting(value | {"protocol": {"name": "official", "version": OFFICIAL.version + 1}})
    with pytest.raises(FameError, match=r"another version of the program .*protocol official, version 2"):
        recall(store)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--protocol", "oficial"], "unknown protocol 'oficial'; the protocols are corrected, official"),
        (["--schedule", "linear"], "unknown schedule 'linear'; the schedules are cosine, supplement, released_step"),
        (["--protocol", "official", "--size", "64"], "frames are of 48 pixels, smaller than the test crop of 64"),
        (["--protocol", "official", "--frames", "32"], "videos have 48 frames, fewer than the 64 of a clip"),
    ],
)
def test_an_impossible_wish_is_one_line(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FAME_DEBUG", raising=False)
    monkeypatch.setattr(logging.getLogger("fame"), "handlers", [])
    monkeypatch.setattr(sys, "argv", ["run_study.py", "plan", "--scale", "smoke", *words])
    assert run_study.start(run_study.app) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ") and told in line


# ---------------------------------------------------------------- reports and documents


def test_every_table_and_the_report_name_the_protocol(tmp_path: Path) -> None:
    (study,) = studies(["area_ratio/0.5/single"])
    store = Store(tmp_path / "out").prepare()
    setting = Setting(SMOKE, VideoData(kind="folder", manifest="0" * 12, short_side=None), protocol=OFFICIAL)
    chosen = setting.stage(study.rows[0], top1("A"))
    assert chosen is not None
    result = {"stage": chosen.id, "kind": "finetune", "replicate": 0, "metrics": {"top1": 40.0, "test_best/top1": 45.0}}
    notes = {"too_short": {"test": 3, "train": 1}}
    folder = store.folder(chosen.id, 0)
    folder.mkdir(parents=True)
    write_json(folder / RESULT, result | {"notes": notes, "seconds": 1.0})
    evidence = Evidence(store, setting, (0,))
    found = tables.entries(evidence, study)
    assert [entry.get("test_best") for entry in found if entry["label"] == "A finetuned"] == [45.0]
    paths = tables.write(evidence, study, found, tmp_path)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    assert all("protocol official, version 1" in text for text in texts[1:])
    assert "Test-best" in texts[1] and "0.5 single, A finetuned: 45.0" in texts[1] and "40.0" in texts[1]
    assert {line["protocol"] for line in csv.DictReader(texts[0].splitlines())} == {"official 1"}
    report = content(evidence, (study,), "unknown", None)
    assert report["protocol"] == {"name": "official", "version": 1}
    assert report["too_short"] == too_short(evidence, (study,)) == {"folder": {"test": 3, "train": 1}}

    plain = Evidence(store, Setting(SMOKE), (0,))
    (tmp_path / "plain").mkdir()
    paths = tables.write(plain, study, tables.entries(plain, study), tmp_path / "plain")
    assert not [path for path in paths if "protocol" in path.read_text(encoding="utf-8")]


def test_the_document_is_what_the_protocols_say() -> None:
    text = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert text == written_into(text), "write it again: python -m studies.setting.protocols docs/datasets.md"
    part = text[text.index(BEGIN) : text.index(END)]
    assert all(f"`{choice.group}.{choice.field}`" in part and choice.source in part for choice in OFFICIAL.choices)
    assert all(f"`{name}`" in part for name in SCHEDULES)


def test_names_are_looked_up() -> None:
    assert (protocol("corrected"), protocol("official")) == (CORRECTED, OFFICIAL)
    assert CORRECTED.said == "" and CORRECTED.changes("clip") == ()


# ---------------------------------------------------------------- end to end


def small_set(root: Path) -> Path:
    """Two classes of six training and four test videos of several sizes; one of each split and class is too short for a clip."""
    for split, many in (("train", 6), ("test", 4)):
        for name in "ab":
            for index in range(many):
                height, width = ((40, 56), (36, 44))[index % 2]
                shown = moving_square(6 if index == 1 else 14, height, width, seed=10 * index + (name == "b"))
                write_video(root / split / name / f"{split}{index}.avi", shown)
    return root


def test_real_videos_are_asked_for_at_native_size_and_a_small_one_stops_the_plan(tmp_path: Path) -> None:
    root = small_set(tmp_path / "set")
    asked = resolve(Choices("smoke", "folder", root, protocol="official"), tmp_path / "cache", 1)
    assert asked.setting.videos is not None and asked.setting.videos.short_side is None
    stored = resolve(Choices("smoke", "folder", root), tmp_path / "cache", 1).setting.videos
    assert stored is not None and stored.short_side == SMOKE.short_side and stored.manifest == asked.setting.videos.manifest
    for options, told in (({"size": 40}, r"train1\.avi is of 44 x 36 pixels"), ({"frames": 8}, "shorter than the 16 frames")):
        with pytest.raises(FameError, match=told):
            resolve(Choices("smoke", "folder", root, protocol="official", **options), tmp_path / "cache", 1)
        resolve(Choices("smoke", "folder", root, **options), tmp_path / "cache", 1)


def test_data_prepare_stores_what_the_protocol_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = small_set(tmp_path / "set")
    words = ["data", "prepare", "--dataset", "folder", "--data-root", str(root), "--scale", "smoke", "--jobs", "1"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("fame"), "handlers", [])
    monkeypatch.setattr(sys, "argv", ["run_study.py", *words, "--protocol", "official"])
    assert run_study.start(run_study.app) == 0
    assert "-native: 20 videos" in capfd.readouterr().out.replace("\n", "")
    (stored,) = (tmp_path / "out" / "cache" / "store").glob("*-native/frames.bin")
    assert stored.stat().st_size == 2 * 3 * sum((6 if i == 1 else 14) * (40 * 56, 36 * 44)[i % 2] for i in (*range(6), *range(4)))


@pytest.mark.long
def test_official_from_the_command_line_to_the_report(tmp_path: Path) -> None:
    """Real files, real training, the report; kept with its protocol, so that `report` alone makes the same."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "import run_study; run_study.reproduce_paper()", "--scale", "smoke", "--device", "cpu"]
    words += ["--dataset", "folder", "--data-root", str(small_set(tmp_path / "set"))]
    words += ["--protocol", "official", "--schedule", "supplement", "--only", "area_ratio/0.5/single"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "report"
    report = json.loads((folder / "report.json").read_text())
    assert report["protocol"]["name"] == "official" and "--protocol official --replicates" in report["command"]
    assert report["too_short"]["folder"]["test"] == 2 and report["too_short"]["folder"]["train"] == 2
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "protocol official, version 1" in page and "clip.resize" in page and "2 videos of test" in page
    results = [json.loads(path.read_text()) for path in (tmp_path / "out" / "runs").rglob("result.json")]
    assert {result["kind"] for result in results} == {"pretrain", "finetune", "probe"}
    (finetuned,) = (result for result in results if result["kind"] == "finetune")
    assert finetuned["metrics"]["test_best/top1"] >= finetuned["metrics"]["top1"] and finetuned["notes"]["videos"]["test"] == 6
    assert list((tmp_path / "out" / "cache" / "store").glob("*-native/index.json"))
    told = shlex.split(report["command"])
    assert told[told.index("--schedule") + 1] == "supplement"
    (folder / ".stamp.json").unlink()
    again = [sys.executable, "-c", "import sys, run_study; sys.exit(run_study.start(run_study.app))", "report"]
    second = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment)
    assert second.returncode == 0, second.stderr
    assert json.loads((folder / "report.json").read_text())["tables"] == report["tables"]
