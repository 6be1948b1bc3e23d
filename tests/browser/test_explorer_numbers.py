"""What the explorer's page computes equals what the toolkit computes."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import glo
from datasets import picture
from glo.data.projection import project
from glo.explorer import assembly, content, sampling
from glo.samplers import SAMPLERS
from tests.browser.explorer import decode, opened, use

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("explorer")]

KINDS = ("digits", "colours", "classes")


@pytest.fixture(scope="module")
def runs(trained):
    runs = {name: glo.load(folder) for name, folder in trained.items()}
    random = np.random.default_rng(0)
    for name in ("colours", "classes"):
        for variable in runs[name].model.generator.weights:  # in training, FiLM starts from zeros
            noise = random.normal(0, 0.25, variable.shape)
            variable.assign(variable + (np.abs(noise) if variable.name == "moving_variance" else noise))
    return runs


@pytest.fixture(scope="module")
def write(runs, tensorflow_js, tmp_path_factory):
    """A function that writes the page of a run with changed content."""
    folder, library = tmp_path_factory.mktemp("pages"), tensorflow_js.read_text()

    def write(name, dtype="float32", **changed):
        run = runs[name]
        fitted = run.fit_sampler(run.settings.sampler)
        collected, _ = content.collect(run, fitted, 2000, "pca", dtype, 1.0, 0)
        path = folder / f"{name}.html"
        path.write_text(assembly.assemble({**collected, **changed}, library))
        return path

    return write


def random_condition(run):
    """A class of a conditional model as a vector [k]; k is 0 for others."""
    return np.eye(len(run.conditions.names), dtype=np.float32)[-1:].reshape(-1)


@pytest.mark.parametrize(("dtype", "most"), [("float16", 2.0), ("float32", 0.5)])
@pytest.mark.parametrize("name", KINDS)
def test_images_agree_on_both_backends(name, dtype, most, runs, write, browser):
    run = runs[name]
    codes = np.random.default_rng(0).standard_normal((256, run.model.dimension)).astype(np.float32) / 3
    condition = random_condition(run)
    expected = run.model.decode(tf.constant(codes), tf.constant(np.tile(condition, (256, 1)))).numpy()
    assert expected.std() * 127.5 > 5
    with opened(browser, write(name, dtype)) as page:
        for backend in ("cpu", "webgl"):
            use(page, backend)
            images = decode(page, codes, run.image_shape, condition)
            assert np.abs(images - expected).max() * 127.5 <= most


@pytest.mark.parametrize("name", [name for name, kind in SAMPLERS.items() if kind in sampling.KINDS])
def test_samples_of_the_same_noise_agree(name, runs, write, browser, monkeypatch):
    monkeypatch.setattr("glo.samplers.network.training_steps", lambda n, most: 20)
    for changed, value in {"imle.WIDTH": 32, "flow.WIDTH": 32, "flow.MOMENTS": 64}.items():  # for speed
        monkeypatch.setattr(f"glo.samplers.{changed}", value)
    run = runs["digits"]
    sampler = SAMPLERS[name].fit(run.codes, 0)
    noise = np.random.default_rng(0).standard_normal((40, sampler.noise_dimension)).astype(np.float32)
    expected = sampler.transform(tf.constant(noise), 0.8).numpy()
    described = {"name": name, **sampling.describe(sampler, "float32", 0, 1.0)}
    script = """async noise => (await explorer.transform(noise.map(row => Float32Array.from(row)), 0.8))
        .map(code => Array.from(code))"""
    with opened(browser, write("digits", sampler=described)) as page:
        codes = np.array(page.evaluate(script, noise.tolist()), np.float32)
    np.testing.assert_allclose(codes, expected, atol=1e-4 * np.abs(expected).max())


def test_codes_of_a_stock_are_those_of_the_sampler_at_each_temperature(runs, write, browser, monkeypatch):
    run = runs["digits"]
    monkeypatch.setattr(sampling, "SMALL", 10)
    sampler = run.fit_sampler("gaussian").sampler
    described = {"name": "gaussian", **sampling.describe(sampler, "float32", 0, 1.0)}
    with opened(browser, write("digits", sampler=described)) as page:
        assert "chosen from 3000 codes that it drew before" in page.text_content("#sample-note")
        script = "async t => (await explorer.draw(2000, 7, t)).map(code => Array.from(code))"
        cold, warm = (np.array(page.evaluate(script, t)) for t in (0.1, 1.0))
    for drawn, temperature in ((cold, 0.1), (warm, 1.0)):
        expected = project(sampler.draw(20_000, np.random.default_rng(0), temperature), run.settings.projection)
        np.testing.assert_allclose(drawn.std(axis=0), expected.std(axis=0), rtol=0.15)


def test_fitting_reaches_the_psnr_of_the_toolkit(runs, write, browser):
    run = runs["digits"]
    images = run.dataset.images[run.dataset.test_rows[:20]]
    expected = psnr(run.reconstruct(images), images)
    assert expected > 15
    script = """async images => {
        const fits = [];
        for (const image of images) fits.push(await explorer.fit(Float32Array.from(image)));
        return fits.map(({code}) => Array.from(code));
    }"""
    pixels = (images.reshape(len(images), -1) / 127.5 - 1).tolist()
    with opened(browser, write("digits")) as page:
        codes = np.array(page.evaluate(script, pixels), np.float32)
    assert (np.linalg.norm(codes, axis=1) < 1 + 1e-5).all()  # projected
    assert psnr(run.decode(codes), images) > expected - 0.3


def test_fitting_finds_the_class_unless_it_is_chosen(runs, write, browser):
    run = runs["classes"]
    mean = run.codes.mean(axis=0)
    code = run.codes[[np.linalg.norm(run.codes - mean, axis=1).argmax()]]
    (image,) = run.model.decode(tf.constant(code), tf.constant([[0.0, 0.0, 1.0]])).numpy()
    script = """async ([image, conditions]) => {
        const fitted = await explorer.fit(Float32Array.from(image), conditions?.map(each => Float32Array.from(each)));
        return [Array.from(fitted.code), Array.from(fitted.condition)];
    }"""
    with opened(browser, write("classes")) as page:
        code, condition = page.evaluate(script, [image.ravel().tolist(), None])
        other_code, other = page.evaluate(script, [image.ravel().tolist(), [[1, 0, 0]]])
    assert (condition, other) == ([0, 0, 1], [1, 0, 0])

    def error(code, condition):
        decoded = run.model.decode(tf.constant([code], tf.float32), tf.constant([condition], tf.float32)).numpy()[0]
        return np.square(decoded - image).mean()

    assert error(code, condition) < error(mean, [0, 0, 1])
    assert error(code, condition) < error(other_code, other) < error(mean, [1, 0, 0])


def psnr(images, originals):
    squares = np.square((images.astype(float) - originals) / 255)
    return float(-10 * np.log10(squares.mean(axis=(1, 2, 3))).mean())


@pytest.mark.parametrize(("name", "size", "mode"), [
    ("digits", (50, 91), "L"), ("digits", (91, 50), "RGBA"), ("colours", (300, 200), "RGB"), ("colours", (7, 9), "RGB")
])  # fmt: skip
def test_pictures_are_cropped_and_resized_as_in_download(name, size, mode, runs, write, browser, tmp_path):
    shape = runs[name].image_shape
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[mode]
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, channels), np.uint8)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels).resize(size, Image.Resampling.BICUBIC)
    encoded = io.BytesIO()
    image.save(encoded, "PNG")
    expected = picture.decode(encoded.getvalue(), shape[:2], shape[2])
    script = """async ([bytes, shape]) => {
        const bitmap = await createImageBitmap(new Blob([Uint8Array.from(bytes)], {type: "image/png"}),
            {premultiplyAlpha: "none"});
        const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
        context.drawImage(bitmap, 0, 0);
        const data = context.getImageData(0, 0, bitmap.width, bitmap.height);
        return Array.from(explorer.prepare(data, ...shape));
    }"""
    with opened(browser, write(name)) as page:
        prepared = page.evaluate(script, [list(encoded.getvalue()), list(shape)])
    levels = (np.array(prepared).reshape(shape) + 1) * 127.5
    assert np.abs(levels - expected).max() <= (3 if mode == "RGBA" else 1)  # canvases round transparent colours


def test_saved_codes_are_decoded_to_the_same_images(runs, write, browser, tmp_path):
    from tests.support import assert_ok, call

    run = runs["digits"]
    with opened(browser, write("digits")) as page:
        page.evaluate("explorer.take(explorer.codes[3].map(value => 40 * value), 'a test')")  # outside the ball
        for button in ("save-npy", "save-json"):
            with page.expect_download() as download:
                page.click(f"#{button}")
            download.value.save_as(tmp_path / download.value.suggested_filename)
        projected = page.evaluate("Array.from(explorer.project(explorer.current.code))")
        shown = decode(page, np.array([projected]), run.image_shape)
    np.testing.assert_allclose(np.load(tmp_path / "code.npy"), [projected], rtol=1e-6)
    assert json.loads((tmp_path / "code.json").read_text())["step"] == run.step
    for name in ("code.npy", "code.json"):
        assert_ok(call("evaler.py", "--checkpoint", run.prefix, "--decode", tmp_path / name, "--prefix", name[5:]))
        with np.load(run.prefix.parent / f"eval-{run.step}/decode_{name[5:]}.npz") as saved:
            assert np.abs(saved["image"] - (shown + 1) * 127.5).max() <= 1
