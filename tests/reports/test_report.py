"""The page and report.json: whole, self-contained, honest about what is missing, and made again only when something changed."""

import html
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from fame.config import VideoData
from fame.errors import FameError
from reports.figures import neighbours, training
from reports.figures.kernels import outline
from reports.figures.pictures import varied
from reports.figures.style import canvas, colour_of, lines_of, save
from reports.page import build
from reports.writing import duration, finite
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.asked import Asked, Scanned
from studies.setting.options import Options
from studies.setting.recording import record
from studies.setting.resolve import Setting
from studies.setting.scales import SMOKE
from studies.study import fame, moco, random_init, supervised
from tests.filled import fill, reported, seen

NAMES = {
    "area_ratio",
    "diving48",
    "background_source",
    "foreground_mask",
    "action_recognition",
    "retrieval",
    "temporal_kernels",
}
NAMES |= {"activation_maps", "mask_quality"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Setting, Path]:
    """A whole report at smoke scale, once."""
    out = tmp_path_factory.mktemp("out")
    store, setting = fill(out, performances=12)
    return store, setting, reported(store, setting, STUDIES, 1, commit="0123abcdef", command="typed --here")


@pytest.fixture(scope="module")
def report(made: tuple[Store, Setting, Path]) -> dict:
    return json.loads((made[2].parent / "report.json").read_text(encoding="utf-8"))


def test_report_json_has_the_schema(report: dict) -> None:
    assert {"scale", "commit", "tables", "claims", "runs"} <= set(report)
    assert (report["scale"], report["commit"]) == ("smoke", "0123abcdef") and set(report["tables"]) == NAMES
    keys = {"row", "column", "metric", "mean", "interval", "n", "cell", "published", "source"}
    assert all(keys <= set(entry) for table in report["tables"].values() for entry in table)
    keys = {"id", "verdict", "kind", "effect", "interval", "n", "rule"}
    assert all(keys <= set(claim) for claim in report["claims"])
    assert all("p_sign_flip" in link for claim in report["claims"] for link in claim["links"])
    assert {claim["id"] for claim in report["claims"]} == {f"C{i}" for i in range(1, 13)}
    assert {claim["verdict"] for claim in report["claims"]} <= {"reproduced", "not reproduced", "inconclusive", "not run"}
    assert report["runs"]["finished"] == report["runs"]["planned"] > 50 and not report["runs"]["failures"]
    assert report["typed"] == "typed --here"


def test_every_cell_is_filled_at_one_replicate(report: dict) -> None:
    assert {entry["status"] for table in report["tables"].values() for entry in table} == {"done"}
    head = report["headline"]["differences"]["deranged"]
    assert head["n"] == 1 and head["over"] == "videos" and head["interval"][0] < head["mean"] < head["interval"][1]
    levels = report["headline"]["levels"]
    assert head["mean"] == pytest.approx(levels["FAME"]["deranged"]["mean"] - levels["baseline"]["deranged"]["mean"])


def test_the_page_stands_alone(made: tuple[Store, Setting, Path]) -> None:
    html = made[2].read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert sources and all(source.startswith(("data:", "#", "tables/", "figures/", "report.json")) for source in sources)
    assert html.count("<script") == 1 and "@import" not in html and not re.search(r"url\((?!data:)", html)
    for link in {source for source in sources if source.startswith(("tables/", "figures/"))}:
        assert (made[2].parent / link).stat().st_size > 0
    targets = {source[1:] for source in sources if source.startswith("#")}
    assert targets <= set(re.findall(r'id="([^"]+)"', html))


NUMBER = r"[+\N{MINUS SIGN}]?\d+\.\d+"


def printable(part: Any) -> Iterator[str]:
    """Every number of a part of report.json, as it may be printed, and those in its texts."""
    if isinstance(part, dict | list):
        for one in part.values() if isinstance(part, dict) else part:
            yield from printable(one)
    elif isinstance(part, str):
        yield from re.findall(NUMBER, part)
    elif isinstance(part, float):
        yield from (f"{part:{form}f}".replace("-", "\N{MINUS SIGN}") for form in ("z.1", "+z.1", "z.3", "+z.3", ".4"))


def opened(part: Any) -> Iterator[str]:
    """The cell of every number of a part of report.json."""
    for one in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from opened(one)
    if isinstance(part, dict) and part.get("effect", part.get("mean")) is not None:
        yield part["cell"]


def test_every_number_in_a_table_of_the_page_is_in_report_json(made: tuple[Store, Setting, Path], report: dict) -> None:
    """Section by section, as often as it is printed there; the paper's whole tables come from published.toml."""
    html = re.sub(r"<details><summary>The paper's whole table.*?</details>", "", made[2].read_text(encoding="utf-8"), flags=re.S)
    sections = dict(zip(["", *re.findall(r'<h2 id="(.*?)"', html)], re.split(r'<h2 id="', html), strict=True))
    for name, part in {"": report["headline"], "claims": report["claims"], **report["tables"]}.items():
        cells = " ".join(re.sub("<.*?>", " ", cell) for cell in re.findall(r"<td.*?</td>", sections[name], re.S))
        printed, known = Counter(re.findall(NUMBER, cells)), Counter(printable(part))
        assert len(printed) > 5 and not printed - known, name
    links = {name: Counter(re.findall(r'href="#cell-(.*?)"', section)) for name, section in sections.items()}
    assert all(links[name] >= Counter(entry["cell"] for entry in table) for name, table in report["tables"].items())
    assert links[""] == Counter(opened(report["headline"]))
    assert links["claims"] == Counter(opened([claim for claim in report["claims"] if claim["kind"] != "real video"]))


def test_the_page_says_what_the_numbers_can_mean(made: tuple[Store, Setting, Path]) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", made[2].read_text(encoding="utf-8")))
    for words in (
        "Its numbers mean nothing",
        "satisfy the method's assumptions",
        "no test of UCF101",
        "within test-set noise",
    ):
        assert words in text.replace("&#39;", "'"), words
    assert "inconclusive (n = 1)" in text and "not run" in text  # C10


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


def test_nothing_is_made_again_while_nothing_changed(made: tuple[Store, Setting, Path]) -> None:
    store, setting, page = made
    before = page.stat().st_mtime_ns
    assert reported(store, setting, STUDIES, 1, commit="0123abcdef", command="typed otherwise") == page
    assert page.stat().st_mtime_ns == before


def test_the_unchanged_path_draws_and_counts_nothing(made: tuple[Store, Setting, Path]) -> None:
    """A second start costs no import of what draws: page.py by itself brings neither torch nor matplotlib nor pandas nor mlflow."""
    heavy = ("torch", "matplotlib", "pandas", "mlflow", "scipy")
    code = f"import sys, reports.page; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert found.stdout.strip() == "[]"


def test_a_changed_result_and_a_lost_file_make_it_again(tmp_path: Path) -> None:
    masks = tuple(study for study in STUDIES if study.name in ("mask_quality", "area_ratio"))[1:]
    store, setting = fill(tmp_path, studies=masks, performances=8)
    page = reported(store, setting, masks, 1)
    first = page.read_text(encoding="utf-8")
    stage = store.stage(next(store.all())[0], 0)
    value = stage and store.result(stage.id, 0)
    assert stage and value
    value["metrics"]["fame/0.5/paper/iou"] = 0.987654
    store.finish(stage, 0, value)
    assert "0.988" in reported(store, setting, masks, 1).read_text(encoding="utf-8") and "0.988" not in first
    table = page.parent / "tables" / "mask_quality.csv"
    table.unlink()
    reported(store, setting, masks, 1)
    assert table.exists()
    (page.parent / ".stamp.json").write_text("[]", encoding="utf-8")
    assert reported(store, setting, masks, 1).exists()


def test_an_empty_store_makes_a_page_that_says_not_run(tmp_path: Path) -> None:
    page = reported(Store(tmp_path).prepare(), Setting(SMOKE), STUDIES, 1)
    report = json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    assert {entry["status"] for table in report["tables"].values() for entry in table} == {"not run"}
    assert report["runs"]["finished"] == 0 and report["figures"] == []
    assert 'class="none">not run' in page.read_text(encoding="utf-8")


def test_real_videos_are_called_a_smoke_test(tmp_path: Path) -> None:
    chosen = tuple(study for study in STUDIES if study.name in ("retrieval", "mask_quality"))
    setting = Setting(SMOKE, {"A": VideoData(kind="ucf101", manifest="0" * 12)}, "ucf101")
    store, _ = fill(tmp_path, studies=chosen, setting=setting, performances=6)
    options = Options(scale="smoke", dataset="ucf101", only=("mask_quality", "retrieval"), epochs=3)
    scanned = Scanned(data=setting.sets["A"], counts={"train": 24, "test": 8})
    record(Asked(options=options, replicates=(0,), folds=({"A": scanned},))).write(store.out)
    html = build(store).read_text(encoding="utf-8")
    assert "A smoke test on 32 videos, 5 classes." in html
    assert "--dataset ucf101 --data-root DIR --replicates 1 --only mask_quality --only retrieval --epochs 3" in html
    assert "Staged scenes satisfy" not in html and "not in this dataset" in html


def test_text_from_runs_is_escaped(tmp_path: Path) -> None:
    masks = tuple(study for study in STUDIES if study.name == "mask_quality")
    setting = Setting(SMOKE)
    store = Store(tmp_path).prepare()
    stage = next(stage for _, _, stage in setting.cells(masks[0]))
    assert stage is not None
    store.fail(stage, 0, "<script>alert(1)</script>")
    html = reported(store, setting, masks, 1).read_text(encoding="utf-8")
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(FameError, match="cannot write"):
        reported(Store(tmp_path), Setting(SMOKE), STUDIES[:1], 1)


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


def test_durations_and_json_without_nan() -> None:
    assert [duration(s) for s in (45, 700, 7200)] == ["45 s", "12 min", "2.0 h"]
    assert finite({"a": (float("nan"), 1.0), "b": [float("inf")]}) == {"a": [None, 1.0], "b": [None]}
