"""A real browser without a window, and axe-core; what is absent skips the tests and says how to get it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

# Debian's and Ubuntu's name first; a browser elsewhere is named by the variable.
_NAMES = ("chromium", "chromium-browser", "google-chrome")


# For this package alone: Playwright keeps an event loop running, in which other tests couldn't start theirs.
@pytest.fixture(scope="package")
def chromium():
    """The machine's Chromium, started once; Playwright's own download is not needed."""
    path = os.environ.get("GUARDMED_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if not path:
        pytest.skip("no Chromium: apt-get install chromium, or name one in GUARDMED_CHROMIUM")
    api = pytest.importorskip("playwright.sync_api", reason="no Playwright: pip install -c constraints.txt playwright")
    # Chromium's sandbox refuses to run as root, which containers are.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    """axe-core as its package bundles it."""
    module = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-core: pip install -c constraints.txt axe-playwright-python")
    return module.Axe()


@pytest.fixture(scope="session")
def chinese_fonts() -> None:
    """Fonts for Chinese are installed."""
    found = subprocess.run(["fc-list", ":lang=zh"], capture_output=True, text=True, check=False).stdout if shutil.which("fc-list") else ""
    if not found.strip():
        pytest.skip("no font for Chinese: apt-get install fonts-noto-cjk fontconfig")
