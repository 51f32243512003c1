"""The page and report.json: whole, self-contained, honest about what is missing, and made again only when something changed."""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fame.config import VideoData
from fame.errors import FameError
from reports.page import build
from reports.writing import duration, finite
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.asked import Asked, Scanned
from studies.setting.options import Options
from studies.setting.recording import record
from studies.setting.resolve import Setting
from studies.setting.scales import SMOKE
from tests.filled import fill, reported

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


def test_durations_and_json_without_nan() -> None:
    assert [duration(s) for s in (45, 700, 7200)] == ["45 s", "12 min", "2.0 h"]
    assert finite({"a": (float("nan"), 1.0), "b": [float("inf")]}) == {"a": [None, 1.0], "b": [None]}
