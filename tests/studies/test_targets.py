"""--dataset targets: one pretraining, own sets tested by cross-validation over groups."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fame.config import VideoData
from fame.data.layouts import read_layout
from fame.data.layouts.listing import Entry
from fame.data.layouts.splits import Rule, cross_validated
from fame.errors import FameError
from reports.evidence import Evidence
from reports.ledger import ledger
from reports.targets import of_targets
from reports.writing import finite
from studies.findings.real_video import ABLATIONS, OF_TARGETS
from studies.harness.store import Store
from studies.paper.baseline import published_gains
from studies.paper.claims import claims_on
from studies.paper.tables import ACTIVATION_MAPS, STUDIES
from studies.records import read
from studies.setting.asked import resolve
from studies.setting.options import Options
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import QUICK
from studies.study import MEAN, Row, supervised
from tests.cli.test_cli import Captured, Typed, typed_here  # noqa: F401 (a fixture)
from tests.filled import put, recorded
from tests.programs import ran
from tests.videos import moving_square, write_video

GROUP = 'group = "/(p[0-9])_"\n'


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two targets: `steps` of two classes and four persons, `waves` of three classes without groups."""
    root = tmp_path_factory.mktemp("pool")
    for at, name in enumerate(("left", "right")):
        for person in range(4):
            for clip in range(2):
                shown = moving_square(10, 32, 40, seed=100 * at + 10 * person + clip)
                write_video(root / "steps" / name / f"p{person}_{clip}.mp4", shown[::-1] if at else shown)
    for at, name in enumerate(("a", "b", "c")):
        for clip in range(4):
            write_video(root / "waves" / name / f"{clip}.mp4", moving_square(9, 32, 40, seed=1000 + 10 * at + clip))
    (root / "steps" / "splits.toml").write_text(GROUP)
    return root


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=2, max_size=60).filter(lambda x: len({g for g, _ in x}) > 1),
    st.integers(2, 10),
)
def test_folds_keep_groups_whole_and_hold_every_video_once(videos: list[tuple[int, int]], folds: int) -> None:
    entries = [Entry(f"{label}/p{group}_{at}.mp4", label, "train") for at, (group, label) in enumerate(videos)]
    divided = cross_validated(entries, Rule(group="/(p[0-9])_", folds=folds), "here")
    assert [one.path for one in divided] == [one.path for one in entries]
    of_group: dict[int, set[str]] = {}
    for (group, _), one in zip(videos, divided, strict=True):
        of_group.setdefault(group, set()).add(one.split)
    assert all(len(splits) == 1 for splits in of_group.values())
    assert len({one.split for one in divided}) == min(folds, len(of_group))


def test_folds_spread_classes_evenly() -> None:
    entries = [Entry(f"{label}/{at}.mp4", label, "train") for label in range(3) for at in range(20)]
    counts = Counter((one.split, one.label) for one in cross_validated(entries, Rule(folds=10), "here"))
    assert set(counts.values()) == {2}


def test_a_class_that_lies_in_one_fold_is_told(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    for name in ("left", "right"):
        (tmp_path / "steps" / name).symlink_to(pool / "steps" / name)
    write_video(tmp_path / "steps" / "alone" / "p0_0.mp4", moving_square(8, seed=3))
    (note,) = read_layout(tmp_path / "steps", "target", 1, tmp_path).notes
    assert "1 of 3 classes lie in one fold" in note and note.endswith("(first: alone)")
    assert read_layout(pool / "steps", "target", 1, tmp_path).notes == []


def test_what_a_target_holds_out_is_not_pretrained_on(pool: Path, tmp_path: Path) -> None:
    (pool / "steps" / "splits.toml").write_text(GROUP + "hold_out = true\ntest = 0.25\nval = 0\n")
    try:
        held = {f"steps/{one.path}" for one in read_layout(pool / "steps", "target", 1, tmp_path).entries if one.split == "test"}
        seen = {one.path for one in read_layout(pool, "pool", 1, tmp_path).entries}
    finally:
        (pool / "steps" / "splits.toml").write_text(GROUP)
    assert len(held) == 4 and not held & seen and len(held | seen) == 16 + 12


def test_a_source_folder_is_all_that_is_pretrained_on(pool: Path, tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    (root / "steps").symlink_to(pool / "steps")
    write_video(root / "source" / "deep" / "one.mp4", moving_square(8, seed=7))
    listing = read_layout(root, "pool", 1, tmp_path)
    assert [one.path for one in listing.entries] == ["source/deep/one.mp4"]
    assert len(listing.classes) == 1
    asked = resolve(Options(scale="smoke", dataset="targets", data_root=root), Store(tmp_path / "out").prepare().cache, 1)
    assert asked.setting.targets == ("steps",) and asked.pretrained_on == 1


def test_what_is_no_target_is_named(pool: Path, tmp_path: Path, typed: Typed, capfd: Captured) -> None:
    (tmp_path / "empty").mkdir()
    assert typed("plan", "--dataset", "targets", "--data-root", str(tmp_path / "empty"), "--scale", "smoke") == 2
    assert "no target is there" in capfd.readouterr().err
    assert typed("plan", "--dataset", "targets", "--data-root", str(pool / "steps"), "--scale", "smoke") == 2
    assert "left holds videos itself" in capfd.readouterr().err
    with pytest.raises(FameError, match="one group"):
        cross_validated([Entry("a/p1_0.mp4", 0, "train")] * 3, Rule(group="/(p[0-9])_", folds=3), "here")


def test_every_side_of_a_claim_is_run_by_the_ablations() -> None:
    data = {part: VideoData(kind=kind, manifest="0" * 12) for part, kind in (("source", "pool"), ("f", "target"), ("g", "target"))}
    setting = Setting(QUICK, data, "targets")
    run = set(all_stages(setting, (ABLATIONS,)))
    assert {measure.target for measure in setting.measures(ACTIVATION_MAPS)} == {"f"}  # for figure 1
    judged = [claim for claim in claims_on(setting.targets) if claim.id in ABLATIONS.claims]
    assert {claim.id for claim in judged} == set(ABLATIONS.claims)
    for link in (link for claim in judged for test in claim.tests for link in test.links):
        for side in (link.greater, link.lesser):
            names = setting.targets if side.measure.target == MEAN else (side.measure.target,)
            stages = [setting.stage(Row("", side.method), replace(side.measure, target=name)) for name in names]
            assert side.method == supervised() or {stage.id for stage in stages if stage} <= run
            assert all(stages) == (side.method != supervised())


@pytest.mark.parametrize("sign", [1, -1])
def test_rows_that_gain_as_the_paper_prints_come_in_its_order(tmp_path: Path, sign: int) -> None:
    data = {part: VideoData(kind=kind, manifest="0" * 12) for part, kind in (("source", "pool"), ("f", "target"), ("g", "target"))}
    setting, gains, store = Setting(QUICK, data, "targets"), published_gains(STUDIES), Store(tmp_path).prepare()
    records = recorded(setting, OF_TARGETS, (0, 1, 2))
    about = {**records.about, "sets": [{"part": name, "classes": {"a": 1, "b": 1}} for name in setting.targets]}
    for study, replicate in product(OF_TARGETS, (0, 1, 2)):
        for row, measure, stage in setting.cells(study):
            if stage and row.method and measure.metric == "top1":
                level = 9.0 if row.label == "mean frame difference" else sign * gains.get(row.method, 0)
                put(store, stage, replicate, {"top1": level + 20 + replicate})
    found = of_targets(Evidence(store, replace(records, about=about)))
    assert found and found["about_motion"] == ["f", "g"]
    assert found["order"]["tau"] == pytest.approx(sign) and found["order"]["n"] == 3
    assert found["order"]["rows"] == sum(row.method in gains for row in ABLATIONS.rows)
    assert all(one["to_baseline"]["mean"] == pytest.approx(sign * one["published"]) for one in found["rows"] if one["published"])


def test_own_targets_from_videos_to_the_answer(pool: Path, tmp_path: Path) -> None:
    words = ["--scale", "smoke", "--device", "cpu", "--dataset", "targets", "--data-root", str(pool), "--jobs", "1"]
    ran(*words, cwd=tmp_path)
    report = json.loads((tmp_path / "out" / "report" / "report.json").read_text())
    assert report["runs"]["planned"] == report["runs"]["finished"]
    found = report["targets"]["by_target"]
    assert {name: one["videos"] for name, one in found.items()} == {"steps": 16, "waves": 12}
    assert found["steps"]["chance"] == 50
    assert found["waves"]["chance"] == pytest.approx(100 / 3)
    levels = ("mean_frame", "frame_difference", "file_facts", "random_init", "baseline", "FAME")
    assert all(0 <= one[level] <= 100 for one in found.values() for level in levels)
    first = (tmp_path / "out" / "report" / "index.html").read_text().split('aria-label="Targets"')[1].split("</table>")[0]
    assert first.count('href="#cell-') == len(found) * (len(levels) + 1)  # the gain, too
    moving, rows = report["targets"]["about_motion"], {one["row"]: one for one in report["targets"]["rows"]}
    assert moving and rows.keys() == {"random init", "baseline", "FAME"}
    for row, level in zip(rows, levels[-3:], strict=True):
        assert rows[row]["level"]["mean"] == pytest.approx(sum(found[name][level] for name in moving) / len(moving))
    assert rows["FAME"]["to_baseline"] == report["targets"]["gain"] and rows["FAME"]["to_FAME"] is None
    assert {row: one["published"] for row, one in rows.items()} == {"random init": None, "baseline": 0, "FAME": 5.4}
    claims = {(claim["id"], claim["metric"]) for claim in report["claims"]}
    assert claims == {("C9", f"{name} R@1") for name in ("steps", "waves", "mean of targets,")}
    records = read(tmp_path / "out")
    evidence = Evidence(Store(tmp_path / "out"), records)
    assert finite(of_targets(evidence)) == report["targets"]
    assert [claim["metric"] for claim in ledger(evidence)] == [claim["metric"] for claim in report["claims"]]
    row = next(cell for cell in records.table("real_video") if cell.row == "baseline" and cell.target == "steps")
    runs = tmp_path / "out" / "runs" / row.stages / "0"
    predictions = pd.read_csv(runs / "predictions.csv")
    assert sorted(predictions["video"]) == sorted(
        path.relative_to(pool / "steps").as_posix() for path in pool.glob("steps/*/*.mp4")
    )
    assert json.loads((runs / "result.json").read_text())["notes"]["folds"] == [4, 4, 4, 4]
    before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("result.json"))
    assert "0 runs done" in ran(*words, cwd=tmp_path)[0]
    assert before == sorted(path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").rglob("result.json"))
