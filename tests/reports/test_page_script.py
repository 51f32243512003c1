"""The page's script in a real Chromium: tables sort and filter, numbers open, commands are copied, a served page renews itself."""

import threading
from typing import Any

import pytest

from reports import viewer
from reports.page import build
from studies.harness.store import Store
from studies.paper.registry import STUDIES
from studies.setting.resolve import Setting, all_stages
from studies.setting.scales import SMOKE
from tests.filled import artefacts, fill, recorded, result

pytestmark = pytest.mark.long
AREA = tuple(study for study in STUDIES if study.name == "area_ratio")
COLUMN = "(table, column) => [...table.tBodies[0].rows].map((row) => row.cells[column].firstElementChild.textContent)"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A report on area_ratio whose finetuning is not run yet."""
    made, setting = fill(tmp_path_factory.mktemp("out"), studies=AREA, leave_out=frozenset({"finetune"}))
    recorded(setting, AREA, range(1)).write(made.out)
    build(made)
    return made


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    return browser.new_context(reduced_motion="reduce").new_page()


def test_a_table_sorts_by_value_and_what_is_missing_comes_last(page: Any, store: Store) -> None:
    page.goto((store.out / "report" / "index.html").as_uri())
    table = page.locator("h2#area_ratio ~ .box table").first
    for column in (2, 6):  # finetuned, not run yet; and a gap to the baseline, which the baseline has not
        head = table.locator("th.sorts").nth(column)
        for way in ("ascending", "descending"):
            head.press("Enter")
            assert head.get_attribute("aria-sort") == way
            texts = table.evaluate(COLUMN, column)
            numbers = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts if text[-1].isdigit()]
            assert numbers == sorted(numbers, reverse=way == "descending")
            assert not any(text[-1].isdigit() for text in texts[len(numbers) :])
    assert len(numbers) > 3


def test_a_table_filters(page: Any, store: Store) -> None:
    page.goto((store.out / "report" / "index.html").as_uri())
    field = page.locator("input.filter").last  # of the cells
    field.fill("PROBE 0.3")
    shown = page.locator("details.cell:visible summary").all_inner_texts()
    assert shown and all("probe" in text and "0.3" in text for text in shown)
    field.fill("")
    assert page.locator("details.cell:visible").count() > len(shown)


def test_a_number_opens_its_cell_by_key_and_the_command_is_copied(page: Any, store: Store) -> None:
    page.goto((store.out / "report" / "index.html").as_uri())
    page.locator("a.number").first.press("Enter")
    cell = page.locator("details.cell[open]")
    assert cell.count() == 1 and "reproduce-paper --only 'area_ratio/1.0 (baseline)'" in cell.inner_text()
    cell.locator("button.copy").press("Enter")
    assert page.evaluate("getSelection().toString()") == cell.locator("code").last.inner_text()


def test_a_served_page_renews_itself_until_all_runs_are_there(page: Any, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "REST", 0)
    with viewer.serve(store.out) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=viewer.keep_new, args=(store, lambda: build(store), 0.2), daemon=True).start()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        assert int(page.locator("body").get_attribute("data-missing")) > 0
        page.locator("details.cell summary").nth(2).click()
        name = page.locator("details.cell[open] summary").inner_text()
        for stage, _ in all_stages(Setting(SMOKE), AREA).values():
            if stage.kind == "finetune":
                folder = store.begin(stage, 0)
                store.finish(stage, 0, result(stage, 0, artefacts(stage, 0, folder, 48), folder))
        page.wait_for_selector("body[data-missing='0']", timeout=300_000)
        page.wait_for_load_state()
        assert page.locator("details.cell[open] summary").all_inner_texts() == [name]
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(4000)
        assert not asked
        server.shutdown()
