"""The figures: what they draw, in one style, from the files of runs."""

import html
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from reports.figures import neighbours, training
from reports.figures.kernels import outline
from reports.figures.pictures import varied
from reports.figures.style import canvas, colour_of, lines_of, save
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.resolve import Setting
from studies.study import fame, moco, random_init, supervised
from tests.filled import fill, seen
from tests.reports import test_report

made, report = test_report.made, test_report.report


def test_every_figure_is_png_svg_and_csv(made: tuple[Store, Setting, Path], report: dict) -> None:
    names = {figure["name"] for figure in report["figures"]}
    assert {
        "activation_maps_figure1",
        "temporal_kernels_figure3",
        "mask_quality_figure4",
        "area_ratio_effects",
        "training_curves",
    } <= names
    for figure in report["figures"]:
        folder = made[2].parent
        picture = matplotlib.image.imread(folder / figure["png"])
        assert picture.shape[1] >= 400 and picture[..., :3].std() > 0.02  # drawn, not blank
        assert "<text" in (folder / figure["svg"]).read_text(encoding="utf-8")
        assert b"/FontFile2" in (folder / figure["svg"]).with_suffix(".pdf").read_bytes()  # an embedded TrueType font
        assert "_figure" in figure["name"] or (folder / figure["csv"]).read_text(encoding="utf-8").count("\n") > 1


def test_effects_are_the_tables_differences(made: tuple[Store, Setting, Path], report: dict) -> None:
    drawn = pd.read_csv(made[2].parent / "figures" / "area_ratio_effects.csv", dtype={"row": str})
    line = drawn[(drawn["row"] == "0.5") & (drawn["column"] == "single") & (drawn["label"] == "B finetuned")].iloc[0]
    entry = next(
        e for e in report["tables"]["area_ratio"] if (e["row"], e["column"], e["label"]) == ("0.5", "single", "B finetuned")
    )
    assert line["difference"] == pytest.approx(entry["difference"]["mean"], rel=1e-5) and line["published_difference"] == 7.1


def test_figures_show_what_is_judged(made: tuple[Store, Setting, Path], report: dict) -> None:
    """The numbers drawn in figures 1, 3 and 4 are those of the tables and of the runs' files."""
    store, _, page = made
    maps, kernels, masks = (
        pd.read_csv(page.parent / "figures" / f"{name}.csv")
        for name in ("activation_maps_figure1", "temporal_kernels_figure3", "mask_quality_figure4")
    )
    entries = {(e["row"], e["metric"]): e["mean"] for e in report["tables"]["temporal_kernels"]}
    judged = kernels[kernels["quantity"] != "density"]
    assert len(judged) == 4 * 4 * 2
    for line in judged.itertuples():
        assert line.value == pytest.approx(entries[line.method, f"{line.quantity}/{line.layer}"], rel=1e-5)
    measured = next(iter(store.runs.glob("*/0/mask_quality.csv")))
    lines = pd.read_csv(measured).groupby(["video", "variant"])[["recall_lift", "iou"]].first()
    for line in masks.itertuples():
        lift, iou = lines.loc[(line.video, line.variant)]
        assert (line.recall, line.iou) == pytest.approx((lift * 0.5 + 0.5, iou), rel=1e-5)
    assert set(maps["method"]) == {e["row"] for e in report["tables"]["activation_maps"]}
    assert maps.groupby("method")["auroc"].mean()["FAME"] > 0.9  # its maps are made up of the truth
    assert maps.groupby("video")["frame"].nunique().eq(3).all()


def test_neighbours_are_drawn_while_their_frames_are_there(tmp_path: Path) -> None:
    tables = tuple(study for study in STUDIES if study.name == "retrieval")
    store, setting = fill(tmp_path, studies=tables, performances=8)
    evidence = seen(store, setting, (0,), tables)
    figure = neighbours.draw(evidence, "retrieval", [], tmp_path)
    assert figure is not None
    drawn = pd.read_csv(figure.files[3])
    lines = drawn.groupby(["condition", "query", "method"])["place"].apply(list)
    assert len(lines) == 4 * 2 and all(places == [0, 1, 2, 3, 4, 5] for places in lines)
    assert drawn[drawn["place"] == 0].groupby("condition")["class"].nunique().eq(2).all()
    (store.cache / "video.npy").unlink()
    assert neighbours.draw(evidence, "retrieval", [], tmp_path) is None


def test_examples_are_of_different_classes() -> None:
    classes = ["Jump", "Jump", "Bow", "Raise", "Bow"]
    assert varied(classes, 3) == [0, 2, 3] and varied(classes, 4) == [0, 1, 2, 3] and varied(classes, 9) == [0, 1, 2, 3, 4]


def test_any_name_can_be_drawn(tmp_path: Path) -> None:
    name = "$x_ \\frac{ \ud55c\uad6d <b> %"
    figure, axes = canvas(1, 1, 2, 2)
    axes[0, 0].set_title(name)
    svg = save(figure, tmp_path, "name", "", "").files[1]
    assert name in html.unescape(svg.read_text(encoding="utf-8"))


def test_training_curves_are_over_all_replicates(tmp_path: Path) -> None:
    masks = tuple(study for study in STUDIES if study.name == "foreground_mask")
    store, setting = fill(tmp_path, studies=masks, replicates=2, performances=8)
    figure = training.draw(seen(store, setting, (0, 1), masks), tmp_path)
    assert figure is not None
    drawn = pd.read_csv(figure.files[3])
    assert set(drawn["replicate"]) == {0, 1} and set(drawn["method"]) >= {"moco()", "fame()"}


def test_a_method_has_one_colour_in_all_figures() -> None:
    methods = (moco(), fame(), fame(0.5, views="single"), fame(0.3), fame(0.7), fame(variant="seed"), supervised(), random_init())
    found = [colour_of(method.text) for method in methods]
    assert found[1] == found[2] and len(set(found)) == len(found) - 1
    for colour in found:
        red, green, blue = (((value + 0.055) / 1.055) ** 2.4 if value > 0.04 else value / 12.92 for value in to_rgb(str(colour)))
        assert 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05) > 2.8  # contrast on white
    slow = lines_of({"baseline": "moco()", "slow": "moco(optim={'epochs_times': 2.0})"}).values()
    assert len({style["color"] for style in slow}) == 1 and len({style["linestyle"] for style in slow}) == 2


def test_broken_lines_of_a_log_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text(
        '{"step": 1, "loss": 4.0}\n{"phase": "x"}\nnonsense\n{"step": 2, "loss": 3.5}\n{"step": 1, "lo', encoding="utf-8"
    )
    assert training.read(log) == [(1, 4.0), (2, 3.5)]
    assert training.read(tmp_path / "none") == []


def test_a_violin_of_equal_weights_is_drawn_too() -> None:
    centres, density = outline(np.zeros(100))
    assert np.isfinite(density).all() and density.max() > 0 and len(centres) == len(density)
