"""The report's first lines, the cells behind its numbers, and an earlier report in the same folder."""

import json
import re
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest

from fame.errors import FameError
from reports.answer import sentence
from reports.cells import show
from reports.page import answer_of, build
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.paper.tables import MASK_QUALITY as MASK
from studies.records import EARLIER, Records, earlier, read
from studies.setting.resolve import Setting
from studies.setting.scales import QUICK, SMOKE
from studies.study import Row, deranged, fame, moco, random_init
from tests.filled import fill, recorded, reported, result, seen

AREA = STUDIES[0]


@pytest.mark.parametrize(
    ("gains", "start", "said"),
    [
        ((6.0, 7.0, 8.0), 35.0, "Not decided (a perfect mask's balanced accuracy above random init's in the"),
        ((6.0, 7.0, 8.0), 12.5, "Decided, FAME gains: FAME minus the baseline is +7.0 points, 95 % [+4.5, +9.5], n = 3"),
        ((-6.0, -7.0, -8.0), 12.5, "Decided, FAME loses: FAME minus the baseline is \N{MINUS SIGN}7.0 points"),
        ((5.0, -5.0, 1.0), 12.5, "Open whether FAME gains: FAME minus the baseline is +0.3 points"),
        ((6.0, 7.0), 12.5, "Not decided (n = 2 of 3): FAME minus the baseline is +6.5 points"),
        ((), 12.5, "FAME and its baseline have not both been run here"),
    ],
)
def test_one_sentence_answers(tmp_path: Path, gains: tuple[float, ...], start: float, said: str) -> None:
    store, setting = Store(tmp_path).prepare(), Setting(QUICK)
    for replicate, gain in enumerate(gains):
        perfect = fame(variant="true", background="empty"), 40.0 - start + replicate / 10, 40.0
        for method, level, balanced in ((moco(), 20.0, 40.0), (fame(), 20.0 + gain, 40.0), (random_init(), 12.5, start), perfect):
            stage = setting.stage(Row("", method), deranged("A"))
            assert stage is not None
            metrics = {"top1/deranged": level, "balanced/top1/deranged": balanced, "background_gap": 60.0}
            store.finish(stage, replicate, result(stage, replicate, metrics, store.begin(stage, replicate)))
    found = sentence(seen(store, setting, range(max(1, len(gains))), (AREA,)))
    assert found.startswith(said)
    assert found.endswith("the paper reports +5.4 on UCF101 finetuned.")
    assert "nothing to compare" in sentence(seen(store, Setting(QUICK, pretrained="a" * 64), (0,), (AREA,)))


def test_every_number_opens_its_runs(tmp_path: Path) -> None:
    store, setting = fill(tmp_path, scale=SMOKE, studies=(AREA,), replicates=2, performances=6)
    page = reported(store, setting, (AREA,), 2)
    html, report = page.read_text(encoding="utf-8"), json.loads((page.parent / "report.json").read_text(encoding="utf-8"))
    cells = {one["cell"]: one for one in report["cells"]}
    for entry in report["tables"]["area_ratio"]:
        values = cells[entry["cell"]]["values"][entry["label"]]
        assert sum(values.values()) / len(values) == pytest.approx(entry["mean"]) and set(values) == {"0", "1"}
        assert f'id="cell-{entry["cell"]}"' in html
        assert all((tmp_path / run / "result.json").exists() for run in cells[entry["cell"]]["runs"])
    own = report["headline"]["levels"]["FAME"]["own"]
    assert fmean(cells[own["cell"]]["values"]["A linear"].values()) == pytest.approx(own["mean"])
    gaps = [entry for entry in report["tables"]["area_ratio"] if entry["difference"]]
    assert len(re.findall(r'href="#cell-', html.split('<h2 id="area_ratio"')[1])) == len(report["tables"]["area_ratio"]) + len(gaps)
    assert sum(report["answer"]["tally"].values()) == len(report["claims"]) and report["answer"]["sentence"] in answer_of(page)
    both = show(store, "area_ratio/0.5")
    assert {row for one in both for row in one["rows"]} == {"area_ratio/0.5/single", "area_ratio/0.5/both"}
    assert show(store, both[0]["cell"]) == [one for one in both if one["cell"] == both[0]["cell"]]
    assert both[0]["command"].endswith(f"--only {both[0]['rows'][0]}")
    with pytest.raises(FameError, match=r"area_ratio/0\.9: no cell and no row"):
        show(store, "area_ratio/0.9")


def test_a_report_on_another_study_is_kept(tmp_path: Path) -> None:
    def records(command: str) -> Records:
        found = recorded(setting, (MASK,), (0,))
        return replace(found, about={**found.about, "command": command})

    store, setting = fill(tmp_path, studies=(MASK,), performances=6)
    assert records("first").write(tmp_path) is None
    first = build(store).read_text(encoding="utf-8")
    assert records("first").write(tmp_path) is None
    kept = records("second").write(tmp_path)
    assert kept and (kept / "index.html").read_text(encoding="utf-8") == first and read(kept).about["command"] == "first"
    page = build(store)
    assert f'href="../{EARLIER}/{kept.name}/index.html"><code>first' in page.read_text(encoding="utf-8")
    assert earlier(tmp_path) == {kept.name: "first"}
    other = records("first").write(tmp_path)  # back again: the second is put aside, the first made anew
    assert other and earlier(tmp_path) == {other.name: "second"} and not kept.exists()
