"""What edits of attributes change: python -m bench.attributes RUN [--data_dir DIR] [--num N] [--out DIR].

A convolutional network is trained on the true attributes of the training images. It looks at held-out images that are
fitted, moved and decoded. Every image is moved to the opposite of what the network finds in its reconstruction. Moved
and measured are the attributes that at least 5 % of the images have, and as many have not, and that the network
predicts with a balanced accuracy of at least 0.8.

    flips    share of images in which the network finds the opposite of before
    change   mean absolute change of the probability that the network gives; `off-target` is that of other attributes

Ways to move, of which evaler.py has the first two:

    conditional  near the effect, with small changes of the scores of other attributes
    difference   the difference of the class means
    effect       the effect of an attribute in the joint regression of codes on all attributes
    logistic     along the weights of the attribute's logistic regression on whitened codes
    projected    the same, without what changes the scores of other attributes: the pseudo-inverse of all weights

A way that moves further flips more and changes more. Ways are therefore also compared at the same flips: on one half of
the images, the strength is chosen at which an attribute flips as often as by the difference of the means; both are
measured on the other half.

Writes attributes.csv with all figures, attributes_matrix.png with the changes at strength 1, and attributes.json.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import glo
from glo.data.projection import project
from glo.run import Run
from glo.runtime import errors, files, log
from glo.runtime.errors import UserError
from glo.samplers.whitening import Whitening

STRENGTHS = (0.5, 1.0, 2.0, 4.0)
REPORTED = (1.0, 2.0)
MIN_SHARE, MIN_BALANCED = 0.05, 0.8
FIT_STEPS = 60  # updates of each fitted code


class Measured(NamedTuple):
    """For each moved attribute, strength, image and measured attribute: whether it flips, and how much it changes.

    flips: bool [k, s, n, k]. change: float32 [k, s, n, k].
    """

    flips: np.ndarray
    change: np.ndarray

    def part(self, images: slice) -> "Measured":
        return Measured(self.flips[:, :, images], self.change[:, :, images])

    def target_flips(self) -> np.ndarray:
        """Share of images whose moved attribute flips, float64 [k, s]."""
        return np.einsum("ksnk->ks", self.flips.astype(np.float64)) / self.flips.shape[2]

    def off_target(self) -> np.ndarray:
        """Mean change of the other attributes, float64 [k, s]."""
        k = len(self.change)
        total = self.change.mean(axis=2, dtype=np.float64)
        return (total.sum(axis=2) - np.einsum("ksk->ks", total)) / (k - 1)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.attributes", description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder or RUN/model-STEP")
    parser.add_argument("--data_dir", help="folder of all datasets (default: as in training)")
    parser.add_argument("--num", type=int, default=200, help="held-out images (default 200)")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of the network (default 12)")
    parser.add_argument("--network", type=Path, help="file of the network's weights, read or written (default: none)")
    parser.add_argument("--out", type=Path, help="folder to write to (default: the run folder)")
    settings = parser.parse_args(argv)
    log.setup()
    run = glo.load(settings.run, settings.data_dir)
    dataset = run.dataset
    if not dataset or dataset.attributes is None or len(dataset.test_rows) < 2:
        raise UserError(f"{settings.run} needs its dataset in --data_dir, with attributes and held-out images")
    from bench.attribute_network import AttributeNetwork

    network = AttributeNetwork(dataset, settings.epochs, settings.network)
    share = dataset.attributes[dataset.train_rows].mean(axis=0)
    chosen = np.flatnonzero((np.minimum(share, 1 - share) >= MIN_SHARE) & (network.balanced >= MIN_BALANCED))
    if len(chosen) < 2:
        raise UserError(f"the network predicts {len(chosen)} attributes well enough, and two are needed: add --epochs")
    rows = np.random.default_rng(0).permutation(dataset.test_rows)[: settings.num]
    codes = run.encode(dataset.images[np.sort(rows)], steps=FIT_STEPS)
    names = [dataset.attribute_names[attribute] for attribute in chosen]
    measured = {
        way: measure(run, lambda images: network(images)[:, chosen], codes, steps[chosen])
        for way, steps in ways(run).items()
    }
    summary = {
        "images": len(codes),
        "balanced_accuracy": dict(zip(names, network.balanced[chosen].tolist(), strict=True)),
        **{way: describe(result, measured["difference"]) for way, result in measured.items()},
    }
    folder = settings.out or run.prefix.parent
    files.write_text(folder / "attributes.csv", table(measured, names))
    files.write_text(folder / "attributes.json", json.dumps(summary, indent=1) + "\n")
    with files.replacing(folder / "attributes_matrix.png") as temporary:
        temporary.write_bytes(plot({way: measured[way] for way in ("conditional", "difference")}, names))
    print(json.dumps(summary, indent=1))


def ways(run: Run) -> dict[str, np.ndarray]:
    """What strength 1 adds to a code, float [A, d], for each way. Attributes without a direction have steps of 0.

    Strength 1 changes the score of an attribute by the distance between its class means.
    """
    directions, attributes = run.directions, run.dataset.attributes.shape[1]
    kept = [int(key.removeprefix("attribute-")) for key in directions.keys if key.startswith("attribute")]
    position = [directions.keys.index(f"attribute-{attribute}") for attribute in kept]
    whitening = Whitening.fit(run.codes)
    weights = directions.weights[position] @ whitening.root  # on whitened codes
    conditional, difference = directions.conditional[position], directions.difference[position]
    white = whitening.apply(run.codes).astype(np.float64)
    targets = run.dataset.attributes[run.dataset.train_rows][:, kept].astype(np.float64)
    effects = np.linalg.lstsq(targets - targets.mean(axis=0), white, rcond=None)[0]
    distances = np.sum(directions.weights[position] * difference, axis=1)
    moves = {"effect": effects, "logistic": weights, "projected": np.linalg.pinv(weights).T}
    scaled = {
        way: (distances / np.sum(weights * move, axis=1))[:, None] * move @ whitening.root
        for way, move in moves.items()
    }
    result = {}
    for way, steps in {"conditional": conditional, "difference": difference, **scaled}.items():
        result[way] = np.zeros((attributes, steps.shape[1]))
        result[way][kept] = steps
    return result


def measure(
    run: Run,
    predict: Callable[[np.ndarray], np.ndarray],
    codes: np.ndarray,
    steps: np.ndarray,
    strengths: Sequence[float] = STRENGTHS,
) -> Measured:
    """Move codes float32 [n, d] along steps float [k, d], each to the opposite of what the network finds, and look.

    predict: probabilities float32 [n, k] of images uint8 [n, H, W, C].
    """
    before = predict(run.decode(codes))
    signs = np.where(before > 0.5, -1.0, 1.0)
    flips, change = [], []
    for sign, step in zip(signs.T, steps, strict=True):
        moved = [codes + strength * sign[:, None] * step for strength in strengths]
        images = run.decode(project(np.concatenate(moved).astype(np.float32), run.settings.projection))
        after = predict(images).reshape(len(strengths), *before.shape)
        flips.append((after > 0.5) != (before > 0.5))
        change.append(np.abs(after - before))
    return Measured(np.stack(flips), np.stack(change))


def describe(measured: Measured, baseline: Measured) -> dict[str, Any]:
    """Means over the moved attributes: target flips and off-target change, at equal strengths and at equal flips.

    ratio: of the off-target change to that of the baseline, the difference of the means.
    """
    half = measured.flips.shape[2] // 2
    choosing, rest = slice(half), slice(half, None)
    result = {}
    for strength in REPORTED:
        column = STRENGTHS.index(strength)
        off, other = (way.off_target()[:, column].mean() for way in (measured, baseline))
        result[f"strength {strength:g}"] = {
            "target_flips": measured.target_flips()[:, column].mean(),
            "off_target": off,
            "ratio": off / other,
        }
        wanted = baseline.part(choosing).target_flips()[:, column]
        rising = 1e-9 * np.arange(len(STRENGTHS) + 1)  # where a curve is flat, its lowest strength is chosen
        chosen = [
            np.interp(flips, np.maximum.accumulate([0, *curve]) + rising, (0, *STRENGTHS))
            for flips, curve in zip(wanted, measured.part(choosing).target_flips(), strict=True)
        ]
        flips, off = (
            np.mean([np.interp(at, (0, *STRENGTHS), [0, *curve]) for at, curve in zip(chosen, curves, strict=True)])
            for curves in (measured.part(rest).target_flips(), measured.part(rest).off_target())
        )
        result[f"flips of difference {strength:g}"] = {
            "strength": float(np.mean(chosen)),
            "target_flips": flips,
            "target_flips_of_difference": baseline.part(rest).target_flips()[:, column].mean(),
            "off_target": off,
            "ratio": off / baseline.part(rest).off_target()[:, column].mean(),
        }
    return result


def table(measured: dict[str, Measured], names: Sequence[str]) -> str:
    """All figures as CSV: a line for each way, moved attribute, strength and measured attribute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["way", "moved", "strength", "measured", "flips", "change"])
    for way, (flips, change) in measured.items():
        for (i, s, j), share in np.ndenumerate(flips.mean(axis=2)):
            row = [way, names[i], STRENGTHS[s], names[j], f"{share:.4f}", f"{change[i, s, :, j].mean():.4f}"]
            writer.writerow(row)
    return text.getvalue()


def plot(measured: dict[str, Measured], names: Sequence[str]) -> bytes:
    """A PNG file: the changes at strength 1 by each way, a row for each moved attribute."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 + 6 * len(measured), 7.5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(measured), sharey=True))
    for axes, (way, result) in zip(panels, measured.items(), strict=True):
        change = result.change[:, STRENGTHS.index(1.0)].mean(axis=1)
        shown = axes.imshow(change, cmap="viridis", vmin=0, vmax=1)
        for (row, column), value in np.ndenumerate(change):
            colour = "black" if value > 0.6 else "white"
            axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_title(f"{way}: off the diagonal {100 * result.off_target()[:, STRENGTHS.index(1.0)].mean():.1f} %")
        axes.set_xlabel("measured")
    panels[0].set_ylabel("moved by strength 1")
    figure.colorbar(shown, ax=panels.tolist(), label="mean change of the probability", shrink=0.6)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", dpi=110)
    return encoded.getvalue()


if __name__ == "__main__":
    sys.exit(errors.run(main))
