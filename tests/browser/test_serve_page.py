"""The server's page as a person gets it: asked in a real browser, of a real server."""

from __future__ import annotations

import re

import httpx
import pytest

from guardmed.serve import Key
from tests.browser.looks import PHONE, WIDE, lost_sideways, missing_characters, violations
from tests.unit.scripted import Scripted
from tests.unit.served import CRISIS, GOOD, SAFE, served

OVERDOSE = "布洛芬一次吃20片，每日三次，可以吗？"
_HAN = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def one(clinical, chromium):
    with served(Scripted(GOOD, p_true=0.5), policy=clinical) as up:
        yield up


class Opened:
    """The page in a browser of its own, and everything it said and asked for."""

    def __init__(self, browser, url: str, *, locale: str = "en-GB", scheme: str = "light", expected: tuple[str, ...] = ()) -> None:
        self.context = browser.new_context(viewport=WIDE, locale=locale, color_scheme=scheme)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url, wait_until="networkidle")

    def ask(self, question: str) -> None:
        self.page.locator("#prompt").fill(question)
        self.page.locator("#prompt").press("Control+Enter")
        self.page.locator("#state", has_text=re.compile("Done|完成")).wait_for()


@pytest.fixture(params=["light", "dark"])
def scheme(request) -> str:
    return request.param


@pytest.fixture
def opened(chromium, one):
    made: list[Opened] = []

    def make(**options) -> Opened:
        made.append(Opened(chromium, one.url, **options))
        return made[-1]

    yield make
    for page in made:
        page.context.close()


def test_a_prompt_gets_its_decision_claims_and_confidence(opened, one):
    shown = opened()
    shown.ask(SAFE)
    page, verdict = shown.page, one.chat().json()["guardmed"]
    assert page.locator("#decision").inner_text() == "Allowed"
    assert page.locator("#answer").inner_text() == GOOD
    assert page.locator("#confidence").inner_text() == f"{verdict['confidence']:.2f} (not calibrated)"
    rows = [[cell.inner_text() for cell in row.locator("td").all()] for row in page.locator("#claims tr").all()]
    assert rows == [[claim["text"], f"{claim['support']:.2f}", claim["verdict"]] for claim in verdict["claims"]]
    assert not page.locator("#rules-part").is_visible()
    assert verdict["policy_digest"][:12] in page.locator("#facts").inner_text()


def test_a_dangerous_prompt_gets_the_rule_and_where_to_find_help(opened):
    shown = opened()
    shown.ask(CRISIS)
    page = shown.page
    assert page.locator("#decision").inner_text() == "Led to help"
    assert "988" in page.locator("#answer").inner_text()
    assert "self-harm-crisis" in page.locator("#rules").inner_text()
    assert page.locator("#confidence").inner_text() == "Not measured."
    assert not page.locator("#claims-part").is_visible()


def test_it_speaks_the_language_of_the_browser_and_changes_it(opened, chinese_fonts):
    page = (shown := opened(locale="zh-CN")).page
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    shown.ask(OVERDOSE)
    assert page.locator("#decision").inner_text() == "拒答"
    assert page.locator("#answer").get_attribute("lang") == "zh-Hans"
    labels = page.locator("main [data-say]:visible").all_inner_texts()
    assert len(labels) > 8
    assert [label for label in labels if not _HAN.search(label)] == []
    missing, drawn = missing_characters(page)
    assert missing == []
    assert drawn > 60
    page.locator("#switch").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("#decision").inner_text() == "Refused"
    assert [label for label in page.locator("main [data-say]:visible").all_inner_texts() if _HAN.search(label)] == []


def test_it_can_be_used_without_a_mouse(opened):
    page = opened().page
    reached: list[str] = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert reached[:3] == ["switch", "prompt", "send"]
    page.keyboard.press("Enter")
    assert page.locator("#prompt").input_value() == reached[-1]
    page.locator("#prompt").fill("")
    page.locator("#prompt").focus()
    page.keyboard.type(SAFE)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#result").wait_for()
    # What came of it is where a screen reader goes on reading.
    assert page.evaluate("document.activeElement.id") == "result-title"
    assert page.locator("#state").get_attribute("role") == "status"


def test_an_example_is_taken_over(opened):
    page = opened().page
    page.locator(".examples button").first.click()
    assert page.locator("#prompt").input_value() == SAFE
    assert page.evaluate("document.activeElement.id") == "prompt"


def test_it_loads_nothing_and_says_nothing(opened, one):
    shown = opened()
    shown.ask(SAFE)
    assert shown.said == []
    assert {url.removeprefix(one.url) for url in shown.asked} == {"/", "/v1/models", "/v1/chat/completions"}
    assert shown.page.locator("link[rel=stylesheet], script[src], iframe, img").count() == 0


def test_its_policy_runs_nothing_else(opened, one):
    header = httpx.get(one.url).headers["Content-Security-Policy"]
    assert "unsafe" not in header
    assert header.startswith("default-src 'none'")
    shown = opened()
    injected = "const one = document.createElement('script'); one.textContent = 'window.owned = 1'; document.body.append(one); window.owned || 0"
    assert shown.page.evaluate(injected) == 0
    assert any("Content Security Policy" in line for line in shown.said)


def test_what_models_and_people_write_is_text_and_not_markup(chromium, clinical):
    with served(Scripted("Metformin <b id=owned>lowers</b> <img src=x onerror=alert(1)> blood sugar."), policy=clinical) as up:
        shown = Opened(chromium, up.url)
        shown.ask("What is <i>metformin</i> used for?")
        assert "<b id=owned>" in shown.page.locator("#answer").inner_text()
        assert shown.page.locator("#owned").count() == 0
        shown.context.close()


def test_a_server_with_keys_asks_for_one(chromium, clinical):
    with served(Scripted(GOOD), policy=clinical, keys={"sk-ward": Key(name="ward")}) as up:
        shown = Opened(chromium, up.url)
        page = shown.page
        page.locator("#key-field").wait_for()
        page.locator("#prompt").fill(SAFE)
        page.locator("#key").fill("sk-wrong")
        page.locator("#send").click()
        page.locator("#problem", has_text="This server needs an API key.").wait_for()
        page.locator("#key").fill("sk-ward")
        shown.ask(SAFE)
        assert page.locator("#decision").inner_text() == "Allowed"
        assert not page.locator("#problem").is_visible()
        shown.context.close()


def test_a_server_that_went_away_is_told(chromium, clinical):
    with served(Scripted(GOOD), policy=clinical) as up:
        shown = Opened(chromium, up.url)
    shown.page.locator("#prompt").fill(SAFE)
    shown.page.locator("#send").click()
    shown.page.locator("#problem", has_text="can't be reached").wait_for()
    assert shown.page.locator("#problem").get_attribute("role") == "alert"
    shown.context.close()


def test_what_the_server_refuses_is_told(chromium, clinical):
    with served(Scripted(GOOD), policy=clinical, limits={"prompt_chars": 20}) as up:
        shown = Opened(chromium, up.url)
        shown.page.locator("#prompt").fill("word " * 20)
        shown.page.locator("#send").click()
        shown.page.locator("#problem", has_text="Shorten it").wait_for()
        shown.context.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_never_scrolls_sideways(opened, size):
    shown = opened()
    shown.ask(SAFE)
    assert lost_sideways(shown.page, size) == []


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("question", [None, SAFE, OVERDOSE], ids=["empty", "allowed", "refused"])
def test_axe_finds_no_violation(opened, axe, scheme, size, question):
    shown = opened(scheme=scheme)
    if question:
        shown.ask(question)
    assert violations(shown.page, axe, size) == ""
