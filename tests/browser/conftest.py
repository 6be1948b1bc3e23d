"""A headless Chromium, and the trained models that the tests share. `make test-browser` installs what they need."""

import os
import sys
from pathlib import Path

import pytest

from bench.browser import FLAGS, program
from datasets.tensorflow_js import FILE
from tests.browser.explorer import classes, colours, digits


@pytest.fixture(scope="session")
def browser():
    """The browser, driven by Playwright; fails if one of the two is not installed."""
    chromium = program()
    if chromium is None:
        pytest.fail("no Chromium is installed: type make test-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.fail("Playwright is not installed: type make test-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
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


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Run folders of the models `digits`, `colours` and `classes`."""
    home = tmp_path_factory.mktemp("home")
    return {make.__name__: make(home) for make in (digits, colours, classes)}
