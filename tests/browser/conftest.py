"""A headless Chromium. `make test-browser` installs what these tests need; `make test` leaves them out."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from datasets.tensorflow_js import FILE

NAMES = ("chromium", "chromium-browser", "google-chrome")
# WebGL is drawn by software, and the browser neither updates itself nor looks for anything on the network.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser():
    """The browser, driven by Playwright; fails if one of the two is not installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("no Chromium is installed: type make test-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("Playwright is not installed: type make test-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """An empty page."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    yield page
    page.close()


@pytest.fixture(scope="session")
def tensorflow_js():
    """The file of TensorFlow.js that `make test-browser` has put into the environment, or that GLO_TFJS names."""
    path = Path(os.environ.get("GLO_TFJS") or Path(sys.prefix, FILE.name))
    if not path.is_file():
        pytest.fail(f"{path} is missing: type make test-browser")
    return path
