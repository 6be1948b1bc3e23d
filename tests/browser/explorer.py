"""Small trained models, their pages, and pages opened in a browser without network."""

import time
from contextlib import contextmanager

import numpy as np
from sklearn.datasets import load_digits

from tests.runs import SAME
from tests.support import assert_ok, call, samples, write_flat

HOSTILE = "</script><img src=x onerror=\"document.title='broken'\"><b>"


def train(home, name, images, codes, *settings, **arrays):
    """Train a model of a few steps; returns the run folder."""
    write_flat(home / "datasets" / name, images, codes, **arrays)
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    assert_ok(
        call("trainer.py", *SAME, "--dataset", name, "--batch_size", 32, "--precision", "float32", *settings, *folders)
    )
    (run,) = home.glob(f"train_dir/*-{name}_lr_*")
    return run


def digits(home):
    """A model of scikit-learn's digits, 8x8, that reconstructs them; 40 are held out."""
    data = load_digits()
    images = np.rint(data.images[:640, :, :, None] * 255 / 16).astype(np.uint8)
    flat = images.reshape(len(images), -1) / 255.0 - 0.5
    codes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[0][:, :10]
    codes = (codes / np.linalg.norm(codes, axis=1).max()).astype(np.float32)
    arrays = {"label": data.target[:640].astype(np.int32), "split": (np.arange(640) >= 600).astype(np.uint8)}
    settings = ["--max_steps", 300, "--channels", 8, "--sampler", "gaussian"]
    return train(home, "DIGITS", images, codes, *settings, **arrays)


def colours(home):
    """An untrained model of 13x10 images in colour, cropped and with FiLM, whose names and attributes are hostile."""
    images, codes = samples(60, (13, 10, 3), 6)
    names = {"attribute_names": [HOSTILE, "plain"]}
    attribute = np.stack([np.arange(60) % 2, np.arange(60) % 3 == 0], axis=1).astype(np.int8)
    settings = ["--max_steps", 3, "--channels", 4, "--film", 5, "--generator", "resize_conv", "--sampler", "gmm"]
    ids = [f"{index} {HOSTILE}" for index in range(60)]
    return train(home, "COLOURS", images, codes, *settings, ids=ids, attributes=names, attribute=attribute)


def classes(home):
    """A briefly trained model that is conditioned on three labels, one of which has a hostile name."""
    images, codes = samples(60, (8, 8, 1), 5)
    label = (np.arange(60) % 3).astype(np.int32)
    settings = ["--max_steps", 3, "--channels", 4, "--film", 5, "--sampler", "gaussian", "--conditional"]
    names = {"label_names": [HOSTILE, "dog", "owl"]}
    return train(home, "CLASSES", images, codes, *settings, label=label, attributes=names)


@contextmanager
def opened(browser, path, fragment="", refused=False, script="", **options):
    """The page of a file, opened without network; errors of the page, and whatever it logs, fail the test.

    refused: whether the page tries what its policy refuses; the browser logs that. script: runs before the page.
    """
    context = browser.new_context(offline=True, accept_downloads=True, **options)
    context.add_init_script(script)
    page = context.new_page()
    messages = []
    page.on("console", lambda message: messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: messages.append(request.url) if request.url.startswith("http") else None)
    page.on("dialog", lambda dialog: messages.append(dialog.message))
    page.goto(path.as_uri() + fragment)
    until(page, "'ready' in document.body.dataset", messages=messages)
    yield page
    context.close()
    assert all(refused and "Content Security Policy" in message for message in messages), messages


def use(page, backend):
    """Compute on `cpu` or `webgl`."""
    page.select_option("#backend", backend)
    until(page, "name => tf.getBackend() === name", backend)


def decode(page, codes, shape, condition=()):
    """The images float32 [n, *shape] in [-1, 1] that the page decodes. condition: [k] of a conditional model."""
    script = """async ([codes, condition]) => (await explorer.decode(codes, condition.length ? condition : null))
        .map(image => Array.from(image))"""
    images = page.evaluate(script, [codes.tolist(), list(map(float, condition))])
    return np.array(images, np.float32).reshape(-1, *shape)


def until(page, condition, argument=None, messages=()):
    """Wait until a JavaScript expression, or function of an argument, is true; fails when there are messages.

    Playwright's own wait_for_function evaluates text within the page, which the policy of the page refuses.
    """
    deadline = time.monotonic() + 120
    while not page.evaluate(condition, argument):
        assert not messages, messages
        assert time.monotonic() < deadline, f"never true: {condition}"
        page.wait_for_timeout(50)
