"""Masks on real video: painted sequences in the layouts of DAVIS and SBI; verdicts on made-up tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fame.errors import FameError
from reports.ledger import ledger, measured
from studies.harness.store import Store
from studies.paper.claims import CLAIMS
from studies.real_masks import SEQUENCES
from studies.real_masks.__main__ import by_sequence, main, measure_all, measure_video
from studies.real_masks.clips import Track, Video, camera_motion, clip_frames, displacement
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, SMOKE
from tests.filled import seen

ROOT = Path(__file__).resolve().parents[2]
C11 = next(claim for claim in CLAIMS if claim.id == "C11")


def painted(frames: int, pan: float = 0.0, side: int = 96, wide: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, side, wide, 3) that pan left by `pan` pixels, a disc crossing them; its masks."""
    random = np.random.default_rng(3)
    blocks = random.integers(30, 220, (side // 6, 120, 3)).repeat(6, axis=0).repeat(6, axis=1)
    y, x = np.mgrid[:side, :wide]
    pictures, masks = [], []
    for index in range(frames):
        start = round(pan * index)
        disc = (y - side / 2) ** 2 + (x - wide / 2 - 0.5 * (index - frames / 2)) ** 2 < (side / 5) ** 2
        picture = blocks[:side, start : start + wide].copy()
        picture[disc] = np.stack([230 - (x + y) % 9 * 9, 60 + x % 5, 40 + y % 7], axis=-1)[disc]
        pictures.append(picture)
        masks.append(disc)
    return np.array(pictures, dtype=np.uint8), np.array(masks)


def save(folder: Path, images: np.ndarray, suffix: str) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        picture = image.astype(np.uint8) * 255 if image.dtype == bool else image
        Image.fromarray(picture).save(folder / f"{index:05d}.{suffix}", quality=95)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two DAVIS sequences, one of SBI, and a file beside the folders."""
    folder = tmp_path_factory.mktemp("real")
    for name, frames, pan in (("panned", 34, 2.0), ("posted", 34, 0.0)):
        pictures, masks = painted(frames, pan)
        save(folder / "davis2016/JPEGImages" / name, pictures, "jpg")
        save(folder / "davis2016/Annotations" / name, masks, "png")
    pictures, masks = painted(66)
    save(folder / "sbi2015/Hall/input", pictures, "jpg")
    save(folder / "sbi2015/Hall/groundtruth", masks, "png")
    (folder / "sbi2015/readme.txt").write_text("of somebody else")
    return folder


@pytest.fixture(scope="module")
def clips(real: Path) -> pd.DataFrame:
    return measure_all(real)


# ---------------------------------------------------------------- cameras and clips


@pytest.mark.parametrize("moved", [(0, 0), (2, 0), (-1, 3)])
def test_displacement_is_found_with_the_figure_left_out(moved: tuple[int, int]) -> None:
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 1, 60, 80, generator=torch.Generator().manual_seed(1)), 3, 1)[0, 0]
    one, other = picture[6:54, 6:70], picture[6 - moved[0] : 54 - moved[0], 6 - moved[1] : 70 - moved[1]]
    seen = torch.ones_like(one, dtype=torch.bool)
    seen[10:30, 20:45] = False
    one, other = (part.masked_fill(~seen, 0.9) for part in (one, other))
    assert displacement(one, other, seen) == pytest.approx(np.hypot(*moved), abs=0.15)
    assert np.isnan(camera_motion(torch.rand(3, 48, 48), np.ones((3, 96, 96), dtype=bool)))


def video(length: int, *tracks: tuple[int, int]) -> Video:
    boxes = tuple(Track(first, np.tile([1.0, 1.0, 4.0, 4.0], (count, 1))) for first, count in tracks)
    return Video("UCF101", "v_Jump_g01_c02", "Jump_g01", np.zeros((length, 8, 8, 3), np.uint8), tracks=boxes)


def test_clips_are_disjoint_and_annotated() -> None:
    clips, stride = clip_frames(video(100, (5, 70), (80, 20)))
    assert stride == 2 and [(clip[0], clip[-1]) for clip in clips] == [(9, 39), (40, 70)]
    clips, stride = clip_frames(video(60, (20, 20)))
    assert stride == 1 and [(clip[0], clip[-1]) for clip in clips] == [(22, 37)]
    assert clip_frames(video(60, (20, 15))) == ([], 0)
    overlapping = clip_frames(video(60, (0, 20), (15, 20)))
    assert overlapping[1] == 2 and len(overlapping[0]) == 1  # two actors' tracks make one stretch


def test_against_boxes_only_the_boxes_measures() -> None:
    pictures, _ = painted(40)
    at_the_edge, wide = (
        Video("UCF101", "v", "Jump_g01", pictures, tracks=(Track(0, np.tile(box, (40, 1))),))
        for box in ([-2.0, 92.0, 4.0, 9.0], [40.0, 20.0, 40.0, 50.0])
    )
    truth = at_the_edge.truth()
    assert truth is not None and truth[0].sum() == 8
    assert truth[0, 92:, :2].all() and not list(measure_video(at_the_edge))
    lines = list(measure_video(wide))
    assert len(lines) == 30 and {line["sequence"] for line in lines} == {"Jump_g01"}
    assert all({"box_recall_lift", "box_iou"} <= set(line) and not {"recall_lift", "auroc"} & set(line) for line in lines)


# ---------------------------------------------------------------- the measurement


def test_cameras_are_told_apart(clips: pd.DataFrame) -> None:
    found = clips.drop_duplicates("sequence").set_index("sequence")
    assert dict(found["camera"]) == {"panned": "moving", "posted": "still", "Hall": "still"}
    assert found.loc["panned", "motion"] == pytest.approx(100 * 2 / 96, rel=0.1)


def test_every_mask_of_every_clip(clips: pd.DataFrame) -> None:
    assert len(clips) == 4 * 2 * 15  # clips, sizes, masks
    assert not clips.duplicated(["video", "first", "size", "variant", "beta", "flavour"]).any()
    assert set(clips.loc[clips["flavour"] == "official", "variant"]) == {"fame"}
    share = clips[clips["variant"].isin(["fame", "seed"])]
    assert np.allclose(share["area"], share["beta"], atol=1e-3)
    still_camera = clips[(clips["camera"] == "still") & (clips["variant"] == "seed") & (clips["beta"] == 0.5)]
    assert (still_camera["recall_lift"] > 0.7).all()  # before a still background the moving disc is found


def test_a_sequence_counts_once(clips: pd.DataFrame) -> None:
    table = by_sequence(clips)
    assert dict(table.groupby("sequence")["clips"].first()) == {"Hall": 2, "panned": 1, "posted": 1}
    one = "size == 112 and variant == 'fame' and beta == 0.5 and flavour == 'paper'"
    hall = clips.query(f"{one} and sequence == 'Hall'")["recall_lift"]
    assert len(hall) == 2
    assert table.query(f"{one} and sequence == 'Hall'")["recall_lift"].item() == pytest.approx(hall.mean())


def test_the_command_writes_numbers_only(real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "kept"
    assert main([str(tmp_path), str(out)]) != 0
    assert "no annotated video" in capsys.readouterr().err
    assert main([str(real), str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"clips.csv", "sequences.csv"}
    for path in out.iterdir():
        assert str(tmp_path) not in path.read_text(encoding="utf-8")
    assert set(measured(out / "sequences.csv").query("sequence == 'Hall'")["camera"]) == {"still"}


# ---------------------------------------------------------------- the verdict


def made_up(gains: list[float], still: int = 2) -> pd.DataFrame:
    """FAME above Seed by each gain in both measures; the first `still` sequences have still cameras."""
    lines = []
    for index, gain in enumerate(gains):
        for variant, flavour, extra in (("seed", "paper", 0.0), ("fame", "paper", gain), ("fame", "official", gain)):
            for size in (112, 32):
                values = {name: 0.4 + 0.01 * index + extra for name in ("recall_still", "recall_lift")}
                about = {"sequence": f"s{index}", "camera": "still" if index < still else "moving", "size": size}
                of = {"variant": variant, "beta": 0.5, "flavour": flavour, "box_recall_lift": np.nan}
                lines.append({**about, **of, **values})
    return pd.DataFrame(lines)


def entry(tmp_path: Path, real: pd.DataFrame, scale=QUICK) -> dict:  # type: ignore[no-untyped-def]
    found = ledger(seen(Store(tmp_path).prepare(), Setting(scale), [0]), (C11,), real)
    assert [one["kind"] for one in found] == ["real video", "mechanism"]
    return found[0]


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([0.10, 0.12, 0.09, 0.11, 0.13], "reproduced"),
        ([-0.10, -0.12, -0.09, -0.11, -0.13], "not reproduced"),
        ([0.30, -0.30, 0.20, -0.15, 0.05], "inconclusive"),
        ([0.10, 0.10], "inconclusive"),  # too few sequences
    ],
)
def test_verdict_by_the_rule(tmp_path: Path, gains: list[float], verdict: str) -> None:
    for scale in (QUICK, SMOKE):  # no run is needed, so no scale spoils it
        found = entry(tmp_path, made_up(gains), scale)
        assert found["verdict"] == verdict and found["n"] == len(gains)
        assert found["over"] == "sequences" if len(gains) > 2 else "3 sequences" in found["reason"]
        assert found["effect"] == pytest.approx(np.mean(gains))
        assert "m = 0.02" in found["rule"]


def test_cameras_apart_decide_nothing(tmp_path: Path) -> None:
    found = entry(tmp_path, made_up([0.10, 0.12, 0.09, 0.11, 0.13]))
    beside = {link["link"]: link for link in found["beside"]}
    assert len(found["links"]) == 2 and len(beside) == 11
    moving = next(link for name, link in beside.items() if "recall lift, 112 px, moving" in name)
    assert moving["n"] == 3 and moving["over"] == "sequences"
    assert moving["verdict"] == "supported"
    assert next(link for name, link in beside.items() if "box, 112 px, all" in name)["verdict"] == "not run"


def test_without_the_kept_table_it_is_not_run(tmp_path: Path) -> None:
    found = entry(tmp_path, measured(tmp_path / "none.csv"))
    assert found["verdict"] == "not run"
    assert "studies.real_masks" in found["reason"] and found["n"] == 0
    (tmp_path / "other.csv").write_text("sequence,camera\na,still\n", encoding="utf-8")
    with pytest.raises(FameError, match=r"size.*measure again"):
        measured(tmp_path / "other.csv")


def test_the_kept_tables_agree() -> None:
    """sequences.csv, which the ledger reads, follows from docs/notebook/real-masks/clips.csv."""
    table = by_sequence(pd.read_csv(ROOT / "docs" / "notebook" / "real-masks" / "clips.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(SEQUENCES), table, atol=1.1e-5, check_dtype=False)
