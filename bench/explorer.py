"""The explorer of a run in a headless Chromium: python -m bench.explorer RUN [--pages DIR] [--tfjs FILE] [--fit N].

For both types of weights it prints the size of the page, the time in which it opens, milliseconds an image, and the
largest difference of the images of 256 codes from those of the toolkit in grey levels, on the processor and by WebGL,
which draws by software. Times are the shortest of several, which other programs on the machine disturb least. Then the
PSNR of N held-out images fitted in the page on the processor, and of the toolkit's `encode`. `make test-browser`
installs what it needs.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import glo
from bench import browser
from datasets import tensorflow_js
from glo.runtime import errors
from glo.runtime.errors import UserError

BACKENDS = ("cpu", "webgl")
OPENED = 5  # times
REPEATED = 20  # times that one image is decoded
PART = 16  # images that a call returns: as text, all at once would not fit into its buffers
ONE_AT_A_TIME = """async ([code, condition, n]) => {
    const times = [];
    for (let i = 0; i < n; i++) {
        const before = performance.now();
        await explorer.decode([code], condition);
        times.push(performance.now() - before);
    }
    return times;
}"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m bench.explorer", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder or RUN/model-STEP")
    parser.add_argument("--data_dir", help="folder of all datasets (default: as in training)")
    parser.add_argument("--sampler", help="sampler of the page (default: that of the run)")
    parser.add_argument("--pages", default=".", help="folder for the pages (default: .)")
    parser.add_argument("--tfjs", help="tf.es2017.min.js (default: a verified download)")
    parser.add_argument("--codes", type=int, default=256, help="codes whose images are compared (default 256)")
    parser.add_argument("--fit", type=int, default=20, help="held-out images that are fitted (default 20)")
    options = parser.parse_args()
    run, library, program = glo.load(options.run, options.data_dir), tensorflow_js.read(options.tfjs), browser.program()
    if program is None:
        raise UserError("no Chromium is installed: install the package chromium, or type make test-browser")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=browser.FLAGS)
        for dtype in ("float16", "float32"):
            path = Path(options.pages, f"explorer-{run.settings.dataset}-{dtype}.html").absolute()
            write(run, path, dtype, options.sampler or run.settings.sampler, library)
            page = chromium.new_page()
            print(dtype, json.dumps(opening(page, path)), flush=True)
            for backend in BACKENDS:
                print(dtype, backend, json.dumps(decoding(run, page, backend, options.codes)), flush=True)
            if dtype == "float16" and options.fit:
                print(dtype, "cpu", json.dumps(fitting(run, page, "cpu", options.fit)), flush=True)
            page.close()
        chromium.close()


def write(run: "glo.Run", path: Path, dtype: str, sampler: str, library: str) -> None:
    """Write the page of a run as evaler.py --explore does."""
    from glo.explorer.assembly import assemble
    from glo.explorer.content import collect

    content, _ = collect(run, run.fit_sampler(sampler), 2000, "pca", dtype, run.temperature(sampler), 0)
    path.write_text(assemble(content, library))


def opening(page: Any, path: Path) -> dict[str, float]:
    """Open the page of a file, which stays open; returns its size in MB and the time in seconds."""
    seconds = []
    for _ in range(OPENED):
        before = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        seconds.append(time.perf_counter() - before)
    return {"megabytes": round(path.stat().st_size / 1e6, 2), "seconds": round(min(seconds), 2)}


def decoding(run: "glo.Run", page: Any, backend: str, n: int) -> dict[str, float]:
    """Milliseconds an image, and the largest difference in grey levels for n learned codes, of one condition."""
    page.evaluate("name => tf.setBackend(name)", backend)
    codes = run.codes[np.random.default_rng(0).permutation(len(run.codes))[:n]]
    condition = run.conditions.candidates()[0]
    given = condition.tolist() if condition.size else None
    script = "async ([codes, condition]) => (await explorer.decode(codes, condition)).map(image => Array.from(image))"
    difference = 0.0
    for part in np.array_split(codes, -(-len(codes) // PART)):
        expected = run.model.decode(part, np.tile(condition, (len(part), 1))).numpy()
        decoded = np.array(page.evaluate(script, [part.tolist(), given]), np.float32).reshape(expected.shape)
        difference = max(difference, 127.5 * float(np.abs(decoded - expected).max()))
    times = page.evaluate(ONE_AT_A_TIME, [codes[0].tolist(), given, REPEATED])
    return {"codes": len(codes), "milliseconds": round(min(times), 1), "levels": round(difference, 4)}


def fitting(run: "glo.Run", page: Any, backend: str, n: int) -> dict[str, float]:
    """PSNR in dB of n held-out images fitted in the page, in `seconds` each, and by the toolkit."""
    page.evaluate("name => tf.setBackend(name)", backend)
    originals = run.dataset.images[np.sort(np.random.default_rng(0).permutation(run.dataset.test_rows)[:n])]
    script = """async image => {
        const {code, condition} = await explorer.fit(Float32Array.from(image));
        return [Array.from(code), Array.from(condition ?? [])];
    }"""
    before = time.perf_counter()
    fits = [page.evaluate(script, (image.ravel() / 127.5 - 1).tolist()) for image in originals]
    seconds = (time.perf_counter() - before) / len(originals)
    codes, conditions = (np.array(each, np.float32) for each in zip(*fits, strict=True))
    return {
        "images": len(originals),
        "seconds": round(seconds, 2),
        "psnr": round(psnr(run.decoder.images(codes, conditions), originals), 2),
        "psnr_encode": round(psnr(run.reconstruct(originals), originals), 2),
    }


def psnr(reconstructed: np.ndarray, originals: np.ndarray) -> float:
    """Mean PSNR in dB over images uint8 [n, H, W, C]."""
    squares = np.square((reconstructed.astype(np.float64) - originals) / 255).mean(axis=(1, 2, 3))
    return float(np.mean(-10 * np.log10(np.maximum(squares, 1e-10))))


if __name__ == "__main__":
    sys.exit(errors.run(main))
