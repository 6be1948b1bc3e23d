"""PSNR of held-out images against the time that their codes take: python -m bench.encoder RUN [--num N] [--out DIR].

Times are processor time, which other programs on the machine hardly change, without compilation. Ways to a code:

    today        fitting from the mean code and the nearest training images, 200 updates
    encoder      the encoder alone
    adam N       N updates of fitting, on the run's loss, from the encoder's code
    lbfgs N      N steps of L-BFGS on the squared error, from the encoder's code
    nearest lbfgs N   the same from the code of the nearest training image, without an encoder
"""

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import glo
from glo.runtime import errors, files
from glo.runtime.errors import UserError

STEPS = 200  # of today's fitting
UPDATES = (10, 20, 30, 40, 50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a run folder or a checkpoint with an encoder")
    parser.add_argument("--data_dir", default=None)
    parser.add_argument("--num", type=int, default=512, help="held-out images")
    parser.add_argument("--out", default=None, help="folder for encoder_curve.png and .json (default: the run folder)")
    options = parser.parse_args()
    run = glo.load(options.run, options.data_dir)
    if run.dataset is None or run.encoder is None:
        raise UserError("the bench needs the dataset of the run and its encoder: trainer.py --encoder makes one")
    rows = np.sort(np.random.default_rng(0).permutation(run.dataset.test_rows)[: options.num])
    points = measure(run, run.dataset.images[rows], run.dataset.conditions[rows])
    folder = Path(options.out) if options.out else run.prefix.parent
    files.write_text(folder / "encoder_curve.json", json.dumps(points, indent=1) + "\n")
    with files.replacing(folder / "encoder_curve.png") as temporary:
        temporary.write_bytes(plot(points, f"{run.settings.dataset}, {len(rows)} held-out images"))


def measure(run: "glo.Run", images: np.ndarray, conditions: np.ndarray) -> dict[str, dict[str, float]]:
    """PSNR [dB], run's loss, milliseconds an image and share of the time of `today`, by the names above.

    Images uint8 [n, H, W, C] are fitted under their own conditions, float32 [n, k].
    """
    from glo.inference import fitting, quasi_newton
    from glo.inference.neighbors import nearest
    from glo.inference.psnr import psnr

    loss, points = run.loss, {}
    descend = fitting.make_descent(run.model, loss, run.settings.projection)
    batch_size = run.decoder.batch_size
    minimize = quasi_newton.make_minimizer(run.model, run.settings.projection, batch_size)

    def adam(updates: int) -> np.ndarray:
        codes, fitted = run.encoder.codes(images, conditions), []
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            state = descend(fitting.begin(codes[batch]), images[batch], conditions[batch], 0, updates, updates)
            fitted.append(state[-2])
        return np.concatenate(fitted)

    def from_nearest(steps: int) -> np.ndarray:
        codes = run.codes[nearest(images, run.dataset.train_images)[1][:, 0]]
        return minimize(codes, images, steps, conditions)

    def add(name: str, encode: Callable[[], np.ndarray]) -> None:
        start = time.process_time()
        codes = encode()
        seconds = time.process_time() - start
        errors = np.square((run.decoder.images(codes, conditions).astype(np.float64) - images) / 255)
        points[name] = {
            "psnr": psnr(errors.mean()),
            "loss": float(run.fitter.losses(images, codes, conditions).mean()),
            "milliseconds": 1000 * seconds / len(images),
            "share": 1000 * seconds / len(images) / points["today"]["milliseconds"] if points else 1.0,
        }
        point = points[name]
        print(f"{name:16} {point['psnr']:6.2f} dB {point['milliseconds']:8.2f} ms {point['share']:6.1%}", flush=True)

    for warm_up in (run.encoder.codes, run.fitter.fit_fast):  # compiles them
        warm_up(images[:2], conditions=conditions[:2])
    minimize(run.codes[:2], images[:2], 1, conditions[:2])
    descend(fitting.begin(run.codes[:2]), images[:2], conditions[:2], 0, 1, 1)
    add("today", lambda: run.fitter.fit(images, loss, STEPS, start="nearest", conditions=conditions).codes)
    add("encoder", lambda: run.encoder.codes(images, conditions))
    for updates in UPDATES:
        add(f"adam {updates}", lambda updates=updates: adam(updates))
        add(f"lbfgs {updates}", lambda updates=updates: run.fitter.fit_fast(images, updates, conditions).codes)
    for updates in UPDATES[1:]:
        add(f"nearest lbfgs {updates}", lambda updates=updates: from_nearest(updates))
    return points


def plot(points: dict[str, dict[str, float]], title: str) -> bytes:
    """A PNG file: PSNR against milliseconds an image, a line for each way to a code."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    encoder = points["encoder"]
    for name, label in (
        ("adam ", "encoder, then Adam on the run's loss"),
        ("lbfgs ", "encoder, then L-BFGS on the squared error"),
        ("nearest lbfgs ", "nearest training image, then L-BFGS"),
    ):
        line = [point for key, point in points.items() if key.startswith(name)]
        line = line if name.startswith("nearest") else [encoder, *line]
        axes.plot([p["milliseconds"] for p in line], [p["psnr"] for p in line], "o-", markersize=4, label=label)
    today = points["today"]
    axes.plot(today["milliseconds"], today["psnr"], "k*", markersize=11, label=f"fitting, {STEPS} updates")
    axes.axhline(today["psnr"] - 0.2, color="k", linewidth=0.7, linestyle=":")
    axes.axvline(0.15 * today["milliseconds"], color="k", linewidth=0.7, linestyle=":")
    axes.set(xlabel="processor time an image [ms]", ylabel="PSNR [dB]", xscale="log", title=title)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=120)
    return encoded.getvalue()


if __name__ == "__main__":
    sys.exit(errors.run(main))
