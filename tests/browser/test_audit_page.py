"""The audit's page as a reader gets it: a file, opened in a real browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from guardmed.audit.words import Words
from tests.browser.looks import PHONE, WIDE, clashes_in_plots, lost_on_paper, lost_sideways, missing_characters, violations
from tests.browser.made import Made, of_a_definition, of_records

_SECTIONS = {
    "en": (
        *("Verdict", "Side by side", "Gaps between groups", "Where the answer changed most", "Intersections", "Groups"),
        *("Differences that are clinically right", "Method and limits", "Provenance"),
    ),
    "zh": ("结论", "对照", "组间差异", "回答变化最大的病例", "交叉分组", "各组", "临床上合理的差异", "方法与局限", "来源"),
}
_WORDS = {"en": {"fail": "Fail", "pass": "Pass"}, "zh": {"fail": "不通过", "pass": "通过"}}
_TITLES = {"en": "Bias audit: Pain management", "zh": "偏倚审计：疼痛治疗"}
_HAN = re.compile(r"[\u4e00-\u9fff]")
_MAKERS = {
    "definition-en": lambda folder: of_a_definition(folder, "en"),
    "definition-zh": lambda folder: of_a_definition(folder, "zh"),
    "records-fail-zh": lambda folder: of_records(folder, "zh", gap=0.1),
    "records-pass-en": lambda folder: of_records(folder, "en", gap=0.0),
}


@dataclass
class Opened:
    """A page in the browser, and everything it said and asked for while it loaded."""

    made: Made
    page: object
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="module", params=list(_MAKERS))
def made(request, tmp_path_factory, chromium) -> Made:
    """A written report; none is written where there is no browser."""
    return _MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def opened(made, chromium):
    context = chromium.new_context(viewport=WIDE)
    found = Opened(made, context.new_page())
    found.page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.said.append(str(error)))
    found.page.on("request", lambda request: found.asked.append(request.url))
    found.page.goto(made.path.as_uri(), wait_until="networkidle")
    yield found
    context.close()


def test_verdict_and_every_section_stand_on_the_page(opened):
    page, made = opened.page, opened.made
    assert page.locator("h1").count() == 1
    assert page.locator(".verdict strong").inner_text() == _WORDS[made.language][made.report.verdict]
    assert page.locator(".verdict").bounding_box()["height"] > 20
    headings = page.locator("main h2").all_inner_texts()
    every = _SECTIONS[made.language]
    assert headings == (list(every) if made.report.origin else [name for name in every if name in headings])
    assert headings[0] == every[0]
    assert all(box.is_visible() for box in page.locator("main h2").all())


def test_the_contents_lead_to_every_section(opened):
    page = opened.page
    links = page.locator("nav a")
    assert links.all_inner_texts() == page.locator("main h2").all_inner_texts()
    links.last.click()
    name = page.locator("main h2").last.get_attribute("id")
    assert page.evaluate("location.hash") == f"#{name}"
    page.wait_for_function(
        "name => { const box = document.getElementById(name).getBoundingClientRect(); return box.top > -1 && box.bottom <= innerHeight; }", arg=name
    )


def test_titles_are_translated(opened):
    title = opened.page.locator("h1").inner_text()
    assert opened.page.title() == title
    assert (title == _TITLES[opened.made.language]) == (opened.made.report.origin is not None)


def test_a_title_is_text_and_not_markup(opened):
    if opened.made.report.origin is None:
        assert opened.page.locator("h1").inner_text().endswith("Our emergency department <2026>")


def test_the_language_is_declared(opened):
    assert opened.page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-Hans"}[opened.made.language]


def test_prompts_declare_their_own_language(opened):
    if opened.made.report.origin is None:
        assert opened.page.locator(".pair").count() == 0  # records without texts
        return
    told = {one.get_attribute("lang"): one.inner_text() for one in opened.page.locator(".pair p").all()}
    assert set(told) == {"en", "zh-Hans"}
    assert _HAN.search(told["zh-Hans"])
    assert not _HAN.search(told["en"])


def test_a_chinese_page_speaks_chinese(opened):
    """Outside what was asked and what has a name of its own, no label was left in English."""
    if opened.made.language == "zh" and opened.made.report.origin:
        labels = opened.page.locator("main h2, th, td:first-child, caption, .facts td:first-child").all_inner_texts()
        assert [one for one in labels if one and not _HAN.search(one) and not re.fullmatch(r"n|p|ECE|pain-\d+", one)] == []


def test_no_identifier_stands_twice(opened):
    names = opened.page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    assert len(names) == len(set(names))


def test_the_console_stays_empty(opened):
    assert opened.said == []


def test_nothing_is_loaded_but_the_file(opened):
    assert opened.asked == [opened.made.path.as_uri()]
    assert opened.page.evaluate("performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert opened.page.locator("script, link[href], iframe, object, embed").count() == 0


def test_every_plot_has_a_size_and_a_name(opened):
    plots = opened.page.locator("figure svg").all()
    assert len(plots) == 1 + len(opened.made.report.intersections)
    for plot in plots:
        box = plot.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 60
        assert plot.get_attribute("role") == "img"
        name = opened.page.locator(f"#{plot.get_attribute('aria-labelledby')}").inner_text()
        assert len(name) > 20


def test_the_plot_says_what_its_colours_mean(opened):
    report, plot = opened.made.report, opened.page.locator("figure.plot svg").first
    texts = plot.locator("text").all_text_contents()
    say = Words(opened.made.language)
    legend = say("shown_fail"), say("shown_pass")
    assert (legend[0] in texts) == (report.verdict == "fail")
    if report.origin:
        # Some pairs of an axis that fails are equal, and are not painted as failures.
        assert legend[1] in texts


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_never_scrolls_sideways(opened, size):
    assert lost_sideways(opened.page, size) == []


def test_every_table_fits_a_desk(opened, chinese_fonts):
    tables = opened.page.locator(".scroll")
    assert tables.evaluate_all("boxes => boxes.filter(one => one.scrollWidth > one.clientWidth + 1).map(one => one.ariaLabel)") == []


def test_no_text_of_a_plot_is_cut_or_covered(opened, chinese_fonts):
    assert clashes_in_plots(opened.page) == []


def test_chinese_is_really_drawn(opened, chinese_fonts):
    if opened.made.language == "zh":
        missing, shown = missing_characters(opened.page)
        assert missing == []
        assert shown > 100
        assert any(map(_HAN.search, opened.page.locator("figure svg text").all_text_contents()))


def test_it_reads_without_scripts(made, chromium):
    context = chromium.new_context(viewport=WIDE, java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(made.path.as_uri())
        assert page.locator(".verdict strong").is_visible()
        assert page.locator("main h2").all_inner_texts() == [name for name in _SECTIONS[made.language] if name in page.locator("main").inner_text()]
        assert page.locator("figure svg").first.is_visible()
        assert page.locator("table").first.is_visible()
    finally:
        context.close()


def test_it_prints_without_a_blank_page(opened):
    pdfium = pytest.importorskip("pypdfium2", reason="no PDF reader: pip install -c constraints.txt pypdfium2")
    document = pdfium.PdfDocument(opened.page.pdf(prefer_css_page_size=True, print_background=True))
    try:
        texts = [page.get_textpage().get_text_range() for page in document]
        assert {tuple(round(side) for side in page.get_size()) for page in document} == {(595, 842)}  # A4
        assert [number for number, text in enumerate(texts, start=1) if len(text.strip()) < 40] == []
        assert _WORDS[opened.made.language][opened.made.report.verdict] in texts[0]
        # What scrolls on a screen is whole on paper: all headings, and the last row of every table.
        joined = re.sub(r"\W", "", "".join(texts))
        last = opened.page.locator("tbody tr:last-child td:first-child").all_inner_texts()
        for text in (*opened.page.locator("main h2").all_inner_texts(), *last):
            assert re.sub(r"\W", "", text) in joined
    finally:
        document.close()


def test_nothing_runs_off_the_paper(opened):
    assert lost_on_paper(opened.page) == []


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_violation(opened, axe, size):
    assert violations(opened.page, axe, size) == ""
