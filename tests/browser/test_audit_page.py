"""The audit's page as a reader gets it: a file, opened in a real browser."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pytest

from tests.browser.made import Made, of_a_definition, of_records

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
_SECTIONS = {
    "en": ["Verdict", "Side by side", "Gaps between groups", "Where the answer changed most", "Intersections", "Groups"]
    + ["Differences that are clinically right", "Method and limits", "Provenance"],
    "zh": ["结论", "对照", "组间差异", "回答变化最大的病例", "交叉分组", "各组", "临床上合理的差异", "方法与局限", "来源"],
}
_WORDS = {"en": {"fail": "Fail", "pass": "Pass"}, "zh": {"fail": "不通过", "pass": "通过"}}
_TITLES = {"en": "Bias audit: Pain management", "zh": "偏倚审计：疼痛治疗"}
# WCAG 2.0 to 2.2, levels A and AA, and what axe-core calls best practice.
_RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
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


@pytest.fixture
def whole(made) -> None:
    """Only for the page that has every section."""
    if made.report.origin is None:
        pytest.skip("a page of records has fewer sections")


def test_verdict_and_every_section_stand_on_the_page(opened):
    page, made = opened.page, opened.made
    assert page.locator("h1").count() == 1
    assert page.locator(".verdict strong").inner_text() == _WORDS[made.language][made.report.verdict]
    assert page.locator(".verdict").bounding_box()["height"] > 20
    headings = page.locator("main h2").all_inner_texts()
    every = _SECTIONS[made.language]
    assert headings == (every if made.report.origin else [name for name in every if name in headings])
    assert headings[0] == every[0]
    assert all(box.is_visible() for box in page.locator("main h2").all())


def test_titles_are_translated(opened, whole):
    assert opened.page.title() == opened.page.locator("h1").inner_text() == _TITLES[opened.made.language]


def test_a_title_is_text_and_not_markup(opened):
    if opened.made.report.origin is None:
        assert opened.page.locator("h1").inner_text().endswith("Our emergency department <2026>")


def test_the_language_is_declared(opened):
    assert opened.page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-Hans"}[opened.made.language]


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
        assert len(plot.evaluate("svg => svg.closest('[role=img]').getAttribute('aria-label')")) > 20


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_never_scrolls_sideways(opened, size):
    page = opened.page
    page.set_viewport_size(size)
    try:
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        # What is wider than its parent has to scroll by itself, and be reachable with the keyboard.
        lost = page.evaluate(
            """width => [...document.querySelectorAll('body *')].filter(one => one.getBoundingClientRect().right > width + 1
               && !one.closest('[tabindex="0"]')).map(one => one.outerHTML.slice(0, 200))""",
            size["width"],
        )
        assert lost == []
    finally:
        page.set_viewport_size(WIDE)


# Where texts of a plot end outside it, or two of them overlap; sizes are what the browser really drew.
_CLASHES = """() => [...document.querySelectorAll('figure svg')].flatMap((svg, place) => {
  const edge = svg.getBoundingClientRect(), found = [];
  const texts = [...svg.querySelectorAll('text')].filter(one => one.textContent.trim()).map(one => [one.textContent, one.getBoundingClientRect()]);
  for (const [text, box] of texts)
    if (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1) found.push(`${place}: cut: ${text}`);
  texts.forEach(([text, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
    if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
      found.push(`${place}: ${text} over ${other}`);
  }));
  return found;
})"""


def test_no_text_of_a_plot_is_cut_or_covered(opened, chinese_fonts):
    assert opened.page.evaluate(_CLASHES) == []


# Every Chinese character, drawn in the font of the element it stands in, against a code point that no font has.
_MISSING = """() => {
  const canvas = document.createElement('canvas'); canvas.width = canvas.height = 40;
  const pen = canvas.getContext('2d', {willReadFrequently: true});
  const drawn = (text, family) => {
    pen.clearRect(0, 0, 40, 40); pen.font = `24px ${family}`; pen.fillText(text, 4, 30);
    return pen.getImageData(0, 0, 40, 40).data.join();
  };
  const seen = {}, walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const family = getComputedStyle(walker.currentNode.parentElement).fontFamily;
    for (const one of walker.currentNode.data.match(/\\p{Script=Han}/gu) || []) (seen[family] ||= new Set()).add(one);
  }
  const counted = {missing: [], shown: 0};
  for (const [family, all] of Object.entries(seen)) {
    const box = drawn('\\u{10ffff}', family), blank = drawn(' ', family);
    for (const one of all) { const look = drawn(one, family); look === box || look === blank ? counted.missing.push(one) : counted.shown++; }
  }
  return counted;
}"""


def test_chinese_is_really_drawn(opened, chinese_fonts):
    if opened.made.language == "zh":
        counted = opened.page.evaluate(_MISSING)
        assert counted["missing"] == []
        assert counted["shown"] > 100
        inside = opened.page.locator("figure svg text").all_text_contents()
        assert any(re.search(r"[一-鿿]", text) for text in inside)


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
    document = pdfium.PdfDocument(opened.page.pdf(format="A4", print_background=True))
    try:
        texts = [page.get_textpage().get_text_range() for page in document]
        assert [number for number, text in enumerate(texts, start=1) if len(text.strip()) < 40] == []
        words = _WORDS[opened.made.language][opened.made.report.verdict]
        assert words in texts[0]
        # Nothing runs off the paper: the last column of the widest table is there.
        joined = "".join(texts).replace("\r\n", " ").replace(" ", "")
        for heading in opened.page.locator("main h2").all_inner_texts():
            assert heading.replace(" ", "") in joined
    finally:
        document.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_violation(opened, axe, size):
    opened.page.set_viewport_size(size)
    try:
        found = axe.run(opened.page, options=_RULES)
        assert found.violations_count == 0, found.generate_report()
        # A rule that could not be applied passes as well; some must have been.
        assert len(found.response["passes"]) > 15
    finally:
        opened.page.set_viewport_size(WIDE)
