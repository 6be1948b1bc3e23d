"""The headless Chromium of bench.explorer and of tests/browser."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome")
# WebGL is drawn by software, and the browser neither updates itself nor looks for anything on the network.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
)


def program() -> str | None:
    """The path of an installed Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)
