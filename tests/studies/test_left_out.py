"""Broken videos that are left out: in what was asked for, in setting.json and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fame.errors import FameError
from reports.content import video_facts
from reports.evidence import Evidence
from studies.harness.status import recall
from studies.harness.store import Store
from studies.setting.asked import resolve
from studies.setting.options import Options
from studies.setting.recording import counted, record
from tests.miniatures import put, ucf101
from tests.videos import truncate, write_video


def test_from_the_scan_to_setting_json_and_to_the_report_s_facts(tmp_path: Path) -> None:
    root, store = tmp_path / "set", Store(tmp_path / "out").prepare()
    ucf101(root, write_video(tmp_path / "clip.avi", 12).read_bytes(), groups=2)
    broken = dict.fromkeys(("Archery/v_Archery_g03_c01.avi", "Diving/v_Diving_g01_c02.avi"), "not-a-video")
    truncate(root / "UCF-101" / next(iter(broken)))
    put(root / "UCF-101" / list(broken)[1], b"")
    choices = Options(scale="smoke", dataset="ucf101", data_root=root, only=("area_ratio/0.5/single",))
    with pytest.raises(FameError, match=r"2 of 24 videos are broken: 1 (test, 1 train|train, 1 test) "):
        resolve(choices, store.cache, 1)
    asked = resolve(choices.model_copy(update={"most_broken": 0.1}), store.cache, 1)
    assert {one.video.removeprefix("UCF-101/"): one.fault for one in asked.left_out} == broken
    assert sum(asked.folds[0]["A"].counts.values()) == 22
    store.write_setting(asked.to_json())
    assert recall(store) == asked
    facts = video_facts(Evidence(store, record(asked)))
    assert facts is not None
    assert facts["left_out"] == [one.model_dump() for one in asked.left_out]
    assert facts["left_out_counted"] == counted(asked.left_out)
    store.write_setting((store.setting() or {}) | {"left_out": [{"clip": "a"}]})
    with pytest.raises(FameError, match="another version"):
        recall(store)
