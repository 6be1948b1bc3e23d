"""The task `metrics`: how good reconstructions and samples are, in numbers, each beside what real images would get."""

from typing import TYPE_CHECKING, Any

import numpy as np

from glo.data.lazy_array import Rows
from glo.features import extractors
from glo.features.extractors import Extractor
from glo.metrics import distances, memorization
from glo.metrics.manifold import prdc
from glo.metrics.similarity import similarities
from glo.model.losses import mse
from glo.runtime.log import logger

if TYPE_CHECKING:
    from glo.evaluation.session import Evaluation

BATCH = 256  # images whose similarities are taken at once


def measure(this: "Evaluation") -> dict[str, Any]:
    """Train and held-out reconstruction; samples against held-out images, in the features of a named extractor.

    As many samples are drawn as --num_metric_samples, but no more than there are held-out or training images, and are
    compared with as many held-out ones. `floor` is what as many training images get in the samples' place: a perfect
    generator would. Deterministic.
    """
    dataset, asked = this.dataset, this.asked
    n = min(asked.num_metric_samples, len(dataset.test_rows), len(this.images))
    real = dataset.images[np.sort(this.random(10).permutation(dataset.test_rows)[:n])]
    known = this.images[np.sort(this.random(11).permutation(len(this.images))[:n])]
    generated = this.decoder.images(this.drawn(n))
    extractor = extractors.make(asked, dataset)
    of_real, of_known, of_generated = (extractors.features(extractor, images) for images in (real, known, generated))
    if n <= of_real.shape[1]:
        logger.warning(
            "%d images and %d features: frechet_%s is too large; compare it with its floor alone",
            n, of_real.shape[1], extractor.name,
        )  # fmt: skip
    sampled = _compare(extractor, real, of_real, generated, of_generated)
    floor = _compare(extractor, real, of_real, known, of_known)
    logger.info("comparing samples with their nearest training images")
    sampled["memorisation_share"] = memorization.share(generated, this.images, real)
    floor["memorisation_share"] = memorization.HONEST
    held_out, held_out_codes = this.held_out_fit
    return {
        "train": _reconstruction(this, this.codes, this.images),
        "test": _reconstruction(this, held_out_codes, held_out),
        "n": n,
        "sampler": this.sampler.name,
        "temperature": this.temperature,
        "extractor": extractor.describe(),
        "samples": sampled,
        "floor": floor,
    }


def table(results: dict[str, Any]) -> str:
    """The results for people: a line for each metric."""
    extractor = results["extractor"]
    about = ", ".join(f"{key} {_short(value)}" for key, value in extractor.items() if key != "name")
    return "\n".join(
        [
            f"reconstruction of {results['train']['n']} training and {results['test']['n']} held-out images",
            *_lines(results, "train", "test"),
            "",
            f"{results['n']} samples ({results['sampler']}) against as many held-out images, in features of "
            f"{extractor['name']} ({about}); floor: as many training images in the place of the samples",
            *_lines(results, "samples", "floor"),
        ]
    )


def _lines(results: dict[str, Any], left: str, right: str) -> list[str]:
    names = [name for name in results[left] if name != "n"]
    width = max(map(len, names))
    rows = [f"{name:{width}}  {results[left][name]:10.4f}  {results[right][name]:10.4f}" for name in names]
    return [f"{'metric':{width}}  {left:>10}  {right:>10}", *rows]


def _reconstruction(this: "Evaluation", codes: np.ndarray, images: np.ndarray | Rows) -> dict[str, float | int]:
    """PSNR as the task `reconstruct` gives it, and means of the similarities, of images uint8 [n, H, W, C]."""
    psnr = this.decoder.measure(codes, images, mse).result()["psnr"]
    parts = [slice(start, start + BATCH) for start in range(0, len(codes), BATCH)]
    found = [similarities(images[part], this.decoder.images(codes[part])) for part in parts]
    means = {name: float(np.concatenate([part[name] for part in found]).mean(dtype=np.float64)) for name in found[0]}
    return {"psnr": psnr, **means, "n": len(codes)}


def _compare(
    extractor: Extractor, real: np.ndarray, of_real: np.ndarray, images: np.ndarray, features: np.ndarray
) -> dict[str, float]:
    """Distances of images uint8 [n, H, W, C] and of their features [n, d] from the real ones."""
    name = extractor.name
    return {
        "chi_square": distances.chi_square(real, images),
        "sliced_wasserstein": distances.sliced_wasserstein(real, images),
        f"frechet_{name}": distances.frechet(of_real, features),
        f"kid_{name}": distances.kid(of_real, features),
        **{f"{key}_{name}": value for key, value in prdc(of_real, features).items()},
    }


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else f"{value:.4f}"
