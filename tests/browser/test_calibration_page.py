"""The calibration's page in a real browser: its plots are not the audit's."""

from __future__ import annotations

import numpy as np
import pytest

from guardmed.calibration.report import write_report
from guardmed.calibration.run import Rows, calibrate
from tests.browser.looks import PHONE, WIDE, clashes_in_plots, lost_on_paper, lost_sideways, violations


@pytest.fixture(scope="module")
def page(tmp_path_factory, chromium):
    folder = tmp_path_factory.mktemp("calibration")
    chance = np.random.default_rng(0)
    scores = chance.random(900)
    groups = tuple(("cardiology", "infectious diseases and tropical medicine", "急诊")[place % 3] for place in range(900))
    rows = Rows(scores, (chance.random(900) < scores * 0.6 + 0.1).astype(np.float64), groups)
    write_report(calibrate(rows, method="auto", holdout=0.5, score_source="claim_support", target_risk=0.2), folder)
    context = chromium.new_context(viewport=WIDE)
    shown = context.new_page()
    shown.asked = []
    shown.on("request", lambda request: shown.asked.append(request.url))
    shown.goto((folder / "report.html").as_uri(), wait_until="networkidle")
    yield shown
    context.close()


def test_every_diagram_is_there_and_nothing_was_fetched(page):
    assert page.locator("figure svg").count() == 6
    assert [url for url in page.asked if not url.startswith("file:")] == []
    assert len(page.asked) == 1


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_the_page_never_scrolls_sideways(page, size):
    assert lost_sideways(page, size) == []


def test_no_text_of_a_plot_is_cut_or_covered(page, chinese_fonts):
    assert clashes_in_plots(page) == []


def test_nothing_runs_off_the_paper(page):
    assert lost_on_paper(page) == []


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_no_violation(page, axe, size):
    assert violations(page, axe, size) == ""
