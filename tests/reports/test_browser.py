"""The page in a real Chromium: what the first screen answers, access, print, and names that mean harm."""

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reports.page import build
from reports.texts import interval, number
from studies.paper.registry import FINDINGS, STUDIES
from studies.setting.scales import QUICK
from tests.filled import fill, recorded

pytestmark = pytest.mark.long
pytest.importorskip("playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pypdf = pytest.importorskip("pypdf")

DESKTOP, PHONE = (1280, 720), (390, 844)
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
HARM = ("<script>document.title = 'run'</script>", "../../etc", "=cmd()|'x'!A1", r"\input{a}_%$#&~^{}", "걷는 사람 🏃", "long" * 50)
SHOWN = ("area_ratio", "retrieval", "activation_maps", "positive_control")  # few and many columns, pictures, contrasts


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on three replicates, one study of which has rows, columns and a title by names that mean harm."""
    chosen = [study for study in (*STUDIES, *FINDINGS) if study.name in SHOWN]
    area = chosen[0]
    rows = tuple(replace(row, label=f"{row.label} {name}") for row, name in zip(area.rows[1:], HARM, strict=True))
    chosen[0] = replace(area, rows=(area.rows[0], *rows), title=" ".join(HARM))
    store, setting = fill(tmp_path_factory.mktemp("out"), replicates=3, scale=QUICK, studies=tuple(chosen), performances=16)
    recorded(setting, chosen, range(3)).write(store.out)
    return build(store, commit="0123abcdef")


def opened(browser: Any, file: Path, size: tuple[int, int] = DESKTOP, **words: Any) -> Any:
    width, height = size
    mobile = {"is_mobile": True, "has_touch": True} if size == PHONE else {}
    context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **mobile, **words)
    page = context.new_page()
    page.goto(file.as_uri())
    return page


@SIZES
def test_the_first_screen_answers(browser: Any, page_file: Path, size: tuple[int, int]) -> None:
    report = json.loads(page_file.with_name("report.json").read_text(encoding="utf-8"))
    found = report["headline"]["differences"]["deranged"]
    page = opened(browser, page_file, size)

    def seen(selector: str) -> str:
        """Return the text of an element that lies in the first viewport as a whole."""
        box = page.locator(selector).first.bounding_box()
        assert 0 <= box["x"] <= box["x"] + box["width"] <= size[0]
        assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1], selector
        return str(page.locator(selector).first.text_content())

    answer = seen(".answer-line")
    assert "FAME minus the baseline" in answer
    assert number(found["mean"], 1, True) in answer
    assert f"{interval(found['interval'], 1, True)}, n = 3" in answer
    assert "the paper reports +5.4" in answer
    assert all(f"{count} {verdict}" in seen(".tally") for verdict, count in report["answer"]["tally"].items())
    ran = seen(".first p.small")
    assert "embedded benchmark" in ran and f"{report['runs']['finished']} of" in ran and "a guess scores 12.5 %" in ran
    marks = page.locator(".forest :is(circle, path)")
    assert marks.count() == sum(claim["effect"] is not None for claim in report["claims"])
    if size == DESKTOP:
        seen(".forest svg")
    assert page.locator(".note").bounding_box()["y"] > page.locator(".first").bounding_box()["height"]
    assert "quick scale, staged videos" in page.title()


@SIZES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Any, page_file: Path, size: tuple[int, int], scheme: str) -> None:
    page = opened(browser, page_file, size, color_scheme=scheme)
    found = axe.Axe().run(page).response
    assert len(found["passes"]) > 20
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
    assert page.locator("table:not(:has(caption), [aria-label])").count() == 0


@SIZES
def test_nothing_is_wider_than_the_screen_and_nothing_is_loaded(browser: Any, page_file: Path, size: tuple[int, int]) -> None:
    page = opened(browser, page_file, size)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(wide) == 0
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate(wide) == 0
    assert [url for url in asked if not url.startswith("data:")] == [page_file.as_uri()]


@SIZES
def test_anchors_land_below_the_bar(browser: Any, page_file: Path, size: tuple[int, int]) -> None:
    page = opened(browser, page_file, size)
    bar = page.locator("nav").bounding_box()["height"]
    names = set(page.locator('a[href^="#"]').evaluate_all("all => all.map(one => one.getAttribute('href').slice(1))"))
    assert len(names) > 40
    for name in names:
        page.evaluate("name => { location.hash = name }", name)
        top = page.evaluate("name => document.getElementById(name).getBoundingClientRect().top", name)
        assert name == "top" or bar <= top < size[1], name


def test_words_are_explained_by_key_and_by_touch(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file)
    word = page.locator(".answer-line .word").first
    meaning = page.locator(f"#{word.get_attribute('popovertarget')}")
    word.focus()
    assert not meaning.is_visible()
    page.keyboard.press("Enter")
    assert meaning.is_visible() and len(meaning.inner_text()) > 40
    page.keyboard.press("Escape")
    assert not meaning.is_visible() and page.evaluate("document.activeElement.className") == "word"
    phone = opened(browser, page_file, PHONE)
    phone.locator(".answer-line .word").first.tap()
    box = phone.locator(".meaning:popover-open").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0] and box["y"] + box["height"] <= PHONE[1]


def test_without_scripts_all_is_there(browser: Any, page_file: Path) -> None:
    cells = "main :is(td, th, p, summary)"
    plain = opened(browser, page_file, java_script_enabled=False).locator(cells).all_text_contents()
    assert len(plain) > 500 and plain == opened(browser, page_file).locator(cells).all_text_contents()
    shut = opened(browser, page_file, java_script_enabled=False)
    shut.locator(".claim summary").first.click()
    assert shut.locator(".claim details table").first.is_visible()


def test_print_holds_every_column(browser: Any, page_file: Path, tmp_path: Path) -> None:
    page = opened(browser, page_file)
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    sheets = [packed(sheet.extract_text()) for sheet in pypdf.PdfReader(tmp_path / "page.pdf").pages]
    text = "".join(sheets)
    heads = page.locator("main > section:not(.screen) thead th, main > .box thead th, .claim thead th").all_text_contents()
    assert len(heads) > 100
    assert [head for head in heads if packed(head) not in text] == []
    for title in page.locator("main > h2").all_text_contents():
        assert any(len(sheet.partition(packed(title[:30]))[2]) > 100 for sheet in sheets), f"{title} ends a sheet"


def packed(text: str) -> str:
    """Return a text without its blanks, which a PDF does not keep, and without ligatures."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def test_names_that_mean_harm_are_shown_as_they_are(browser: Any, page_file: Path) -> None:
    page = opened(browser, page_file)
    assert page.title().startswith("FAME")
    rows = page.locator("#area_ratio ~ .box th[scope=row]").all_text_contents()
    assert all(any(row.endswith(name) for row in rows) for name in HARM)
    assert page.locator("#area_ratio").first.inner_text() == " ".join(HARM)
    assert page.locator("script").filter(has_text="document.title").count() == 0
