"""evaler.py --explore and --decode, with a stand-in for TensorFlow.js: tests/browser opens real pages."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

import glo
from tests.runs import SAME
from tests.support import assert_ok, assert_one_line_error, call, samples, write_flat

N, D = 40, 4


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    images, codes = samples(N, (9, 7, 1), D)
    arrays = {"label": (np.arange(N) % 12).astype(np.int32), "split": (np.arange(N) >= 35).astype(np.uint8)}
    write_flat(home / "datasets/CATS", images, codes, ids=[f"id {row}" for row in range(N)], **arrays)
    folders = ["--data_dir", home / "datasets", "--train_dir", home / "train_dir"]
    settings = ["--max_steps", 2, "--blocks", 1, "--sampler", "gaussian"]
    assert_ok(call("trainer.py", *SAME, "--dataset", "CATS", *settings, *folders))
    (run,) = home.glob("train_dir/*")
    return run


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "tf.js"
    path.write_text("globalThis.tf = {};")
    return path


def content(path):
    page = path.read_text(encoding="utf-8")
    return page, json.loads(
        re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)[1]
    )


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["base64"]), "<f4").reshape(packed["shape"])


def test_the_page_holds_codes_images_and_names_of_training_images(run, library):
    log = assert_ok(call("evaler.py", "--checkpoint", run, "--explore", "--tfjs", library, "--prefix", "cats"))
    path = run / "eval-2/explore_cats.html"
    assert f"35 training images: open {path} in a browser" in log
    page, held = content(path)
    assert "globalThis.tf = {};" in page
    loaded = glo.load(run)
    points = held["points"]
    np.testing.assert_array_equal(floats(points["codes"]), loaded.codes)
    assert points["ids"] == [f"id {row}" for row in range(35)]
    (label,) = points["columns"]
    assert label["values"] == [str(number) for number in range(12)]
    assert np.frombuffer(base64.b64decode(label["index"]["base64"]), "<i4").tolist() == (np.arange(35) % 12).tolist()
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(points["thumbnails"]["base64"]))))
    images, _ = samples(N, (9, 7, 1), D)
    side, across = points["thumbnails"]["side"], points["thumbnails"]["across"]
    assert (side, across) == (9, 6)
    for row in (0, 8, 34):
        top, left = row // across * side, row % across * side
        np.testing.assert_array_equal(sheet[top : top + 9, left + 1 : left + 8], images[row, ..., 0])
    metrics = json.loads((run / "eval-2/metrics.json").read_text())["explore"]
    assert metrics == {"bytes": path.stat().st_size, "images": 35, "sampler": "gaussian", "weights": "float16"}


def test_its_size_is_bounded_and_the_weights_may_be_exact(run, library):
    common = ["--checkpoint", run, "--explore", "--tfjs", library]
    assert_ok(call("evaler.py", *common, "--max_images", 10, "--map", "tsne", "--weights", "float32", "--prefix", "a"))
    assert_ok(call("evaler.py", *common, "--prefix", "b"))
    small, large = (content(run / f"eval-2/explore_{name}.html")[1] for name in "ab")
    assert (len(small["points"]["ids"]), small["points"]["method"]) == (10, "tsne")
    kernels = [next(layer for layer in held["network"] if "kernel" in layer)["kernel"] for held in (small, large)]
    assert [kernel["dtype"] for kernel in kernels] == ["float32", "float16"]
    model = glo.load(run).model.generator
    np.testing.assert_array_equal(floats(kernels[0]), model.get_layer("up0").kernel.numpy())


def test_codes_of_a_file_are_decoded(run, tmp_path):
    codes = samples(6, dimension=D)[1]
    np.save(tmp_path / "codes.npy", codes)
    (tmp_path / "codes.json").write_text(json.dumps({"codes": codes.tolist()}))
    expected = glo.load(run).decode(codes)
    for name in ("npy", "json"):
        assert_ok(call("evaler.py", "--checkpoint", run, "--decode", tmp_path / f"codes.{name}", "--prefix", name))
        with np.load(run / f"eval-2/decode_{name}.npz") as saved:
            np.testing.assert_array_equal(saved["image"], expected)
            np.testing.assert_array_equal(saved["code"], codes)
        assert (run / f"eval-2/decode_{name}.png").is_file()


def test_errors_come_before_any_computation(run, tmp_path):
    np.save(tmp_path / "codes.npy", np.zeros((2, D + 1)))
    result = call("evaler.py", "--checkpoint", run, "--decode", tmp_path / "codes.npy")
    assert_one_line_error(result, "codes.npy", f"[n, {D}], not [2, {D + 1}]")
    result = call("evaler.py", "--checkpoint", run, "--explore", "--tfjs", tmp_path / "none.js")
    assert_one_line_error(result, "none.js")
    assert_one_line_error(call("evaler.py", "--checkpoint", run, "--explore", "--map", "umap"), "pca, tsne")
