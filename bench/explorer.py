"""The explorer of a run in a headless Chromium: python -m bench.explorer RUN [--pages DIR] [--tfjs FILE] [--fit N].

For both types of weights it prints the size of the page, the time in which it opens, milliseconds an image, and the
largest difference of 256 images from those of the toolkit in grey levels, on the processor and by WebGL, which draws by
software. Times are the shortest of several, which other programs on the machine disturb least. Then the PSNR of N
held-out images fitted in the page, and of the toolkit's `encode`. `make test-browser` installs what it needs.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import glo
from datasets import tensorflow_js
from glo.runtime import errors

CODES = 256
OPENED = 5  # times
REPEATED = 40  # images of one code each that are timed
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
ONE_AT_A_TIME = """async ([code, n]) => {
    const times = [];
    for (let i = 0; i < n; i++) {
        const before = performance.now();
        await explorer.decode([code]);
        times.push(performance.now() - before);
    }
    return times;
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder or a checkpoint of an unconditional model")
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--sampler", default=None)
    parser.add_argument("--pages", default=".", help="folder for the pages")
    parser.add_argument("--tfjs", default=None, help="tf.es2017.min.js")
    parser.add_argument("--fit", type=int, default=20, help="held-out images that are fitted")
    options = parser.parse_args()
    run = glo.load(options.run, options.data_dir)
    library = tensorflow_js.read(options.tfjs)
    codes = run.codes[np.random.default_rng(0).permutation(len(run.codes))[:CODES]]
    expected = np.concatenate([run.model.decode(part).numpy() for part in np.array_split(codes, 4)])
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for dtype in ("float16", "float32"):
            path = Path(options.pages, f"explorer-{run.settings.dataset}-{dtype}.html").absolute()
            write(run, path, dtype, options.sampler or run.settings.sampler, library)
            page, seconds = browser.new_page(), []
            for _ in range(OPENED):
                before = time.perf_counter()
                page.goto(path.as_uri())
                page.wait_for_selector("body[data-ready]", timeout=60_000)
                seconds.append(time.perf_counter() - before)
            print(f"{dtype}: {path.stat().st_size / 1e6:.1f} MB, opens in {min(seconds):.1f} s", flush=True)
            for backend in ("cpu", "webgl"):
                page.evaluate("name => tf.setBackend(name)", backend)
                decoded = images(page, codes, expected.shape)
                times = page.evaluate(ONE_AT_A_TIME, [codes[0].tolist(), REPEATED])
                difference = 127.5 * np.abs(decoded - expected).max()
                print(f"  {backend}: {min(times):.1f} ms an image, differs by {difference:.2f} levels", flush=True)
            if dtype == "float16" and options.fit:
                page.evaluate("() => tf.setBackend('cpu')")
                compare_fits(run, page, options.fit)
            page.close()
        browser.close()


def write(run: "glo.Run", path: Path, dtype: str, sampler: str, library: str) -> None:
    """Write the page of a run as evaler.py --explore does."""
    from glo.explorer.assembly import assemble
    from glo.explorer.content import collect

    content, _ = collect(run, run.fit_sampler(sampler), 2000, "pca", dtype, run.temperature(sampler), 0)
    path.write_text(assemble(content, library))


def images(page: Any, codes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The images float32 [n, H, W, C] that the page decodes."""
    script = "async codes => (await explorer.decode(codes)).map(image => Array.from(image))"
    return np.array(page.evaluate(script, codes.tolist()), np.float32).reshape(len(codes), *shape[1:])


def compare_fits(run: "glo.Run", page: Any, n: int) -> None:
    """Print the PSNR of n held-out images fitted in the page, and by the toolkit."""
    originals = run.dataset.images[np.sort(np.random.default_rng(0).permutation(run.dataset.test_rows)[:n])]
    script = "async image => Array.from(await explorer.fit(Float32Array.from(image)))"
    before = time.perf_counter()
    fitted = np.array([page.evaluate(script, (image.ravel() / 127.5 - 1).tolist()) for image in originals], np.float32)
    seconds = (time.perf_counter() - before) / n
    here, there = psnr(run.decode(fitted), originals), psnr(run.reconstruct(originals), originals)
    print(f"  {n} held-out images: {here:.2f} dB fitted in the page in {seconds:.1f} s each, {there:.2f} dB by encode")


def psnr(reconstructed: np.ndarray, originals: np.ndarray) -> float:
    """Mean PSNR in dB over images uint8 [n, H, W, C]."""
    squares = np.square((reconstructed.astype(np.float64) - originals) / 255).mean(axis=(1, 2, 3))
    return float(np.mean(-10 * np.log10(np.maximum(squares, 1e-10))))


if __name__ == "__main__":
    sys.exit(errors.run(main))
