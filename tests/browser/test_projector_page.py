"""What `tensorboard --logdir RUN` shows after evaler.py --projector, in a real browser."""

import io
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.runs import SAME
from tests.support import assert_ok, call, samples, write_flat

pytestmark = pytest.mark.browser

N, HELD_OUT, SAMPLES = 40, 8, 5
MAGENTA, GREEN = (255, 0, 255), (0, 255, 0)
HOSTILE = "<img src=x onerror=\"document.title='broken'\">\twith a tab\x1b[31m"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose training images are magenta and whose held-out images are green, with its points."""
    home = tmp_path_factory.mktemp("home")
    _, codes = samples(N, dimension=5)
    split = (np.arange(N) >= N - HELD_OUT).astype(np.uint8)
    images = np.where(split[:, None], GREEN, MAGENTA).astype(np.uint8)[:, None, None] + np.zeros((8, 8, 1), np.uint8)
    ids = [f"{index} {HOSTILE}" for index in range(N)]
    names = {"label_names": ["cat\n", "dog\t"], "attribute_names": ["kind", "__next__"]}
    attribute = np.stack([np.arange(N) % 2, np.arange(N) % 3 == 0], axis=1).astype(np.int8)
    label = (np.arange(N) % 2).astype(np.int32)
    folder = home / "datasets" / "COLOURS"
    write_flat(folder, images, codes, ids=ids, attributes=names, split=split, label=label, attribute=attribute)
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    train = ["--max_steps", 2, "--channels", 4, "--sampler", "gaussian"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "COLOURS", *train, *folders))
    (run,) = home.glob("train_dir/*")
    assert_ok(call("evaler.py", "--checkpoint", run, "--projector", "--fit_steps", 2, "--num_samples", SAMPLES))
    return run


@pytest.fixture
def address(run):
    """The address of a TensorBoard of the run."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(run), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            addresses = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in server.stderr)
            yield next(filter(None, addresses))[0]
        finally:
            server.terminate()


def colours(page):
    """How many pixels of the page are magenta, and how many are green."""
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return [int((np.abs(pixels - colour).max(axis=2) < 40).sum()) for colour in (MAGENTA, GREEN)]


def test_the_projector_shows_all_points_as_thumbnails(page, address):
    from playwright.sync_api import expect

    answers = []
    page.on("response", lambda answer: answers.append(answer))  # a bound method of C cannot be a handler
    page.goto(f"{address}#projector", timeout=120_000)
    projector = page.frame_locator("iframe").frame_locator("iframe")
    expect(projector.locator(".numDataPoints")).to_have_text(str(N + SAMPLES), timeout=300_000)
    expect(projector.locator(".numDataPoints")).to_be_visible()
    deadline = time.monotonic() + 120
    while min(colours(page)) < 200 and time.monotonic() < deadline:
        page.wait_for_timeout(500)
    assert min(colours(page)) >= 200  # the thumbnails of both kinds are drawn
    (codes,) = [answer for answer in answers if "/tensor?" in answer.url]
    assert "name=codes%20at%20step%202&" in codes.url
    assert np.frombuffer(codes.body(), np.float32).size == (N + SAMPLES) * 5
    (sprite,) = [answer for answer in answers if "/sprite_image?" in answer.url]
    assert (sprite.status, sprite.headers["content-type"]) == (200, "image/png")
    assert page.title() == "TensorBoard"
