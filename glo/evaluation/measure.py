"""The task `metrics`: how good reconstructions and samples are, in numbers, each beside what real images would get."""

from typing import Any

import numpy as np

from glo.data.conditions import Conditions
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream
from glo.evaluation.session import Session
from glo.features import extractors
from glo.features.extractors import Extractor
from glo.inference.decoder import Decoder
from glo.metrics import distances, memorization
from glo.metrics.manifold import prdc
from glo.metrics.similarity import similarities
from glo.model.losses import mse
from glo.runtime.log import logger

BATCH = 256  # images whose similarities are taken at once


def run(session: Session) -> dict[str, Any]:
    """Train and held-out reconstruction; samples against held-out images, in the features of a named extractor.

    As many samples are drawn as --num_metric_samples, but no more than there are held-out or training images, and are
    compared with as many held-out ones. `floor` is the same metric with training images in place of the samples, which
    is what a perfect generator would reach; that of the memorisation share has held-out images in their place.
    Deterministic.
    """
    dataset, settings, decoder = session.dataset, session.settings, session.run.decoder
    n = min(settings.num_metric_samples, len(dataset.test_rows), len(session.images))
    real = dataset.images[session.choose(dataset.test_rows, n, Stream.MEASURED_HELD_OUT)]
    known = session.images[session.choose(np.arange(len(session.images)), n, Stream.MEASURED_TRAINING)]
    generated = decoder.images(*session.draw(session.sampler, n, None))
    extractor = extractors.make(settings, dataset)
    of_real, of_known, of_generated = (extractors.features(extractor, images) for images in (real, known, generated))
    if n <= of_real.shape[1]:
        logger.warning(
            "%d images and %d features: frechet_%s is too large; compare it with its floor alone",
            n, of_real.shape[1], extractor.name,
        )  # fmt: skip
    sampled = _compare(extractor, real, of_real, generated, of_generated)
    floor = _compare(extractor, real, of_real, known, of_known)
    logger.info("comparing samples with their nearest training images")
    share, control = memorization.share_and_control(generated, session.images, real)
    sampled["memorisation_share"], floor["memorisation_share"] = share, control
    held_out, fit = session.held_out_fit
    return {
        "metrics": {
            "train": _reconstruction(decoder, session.run.codes, session.run.conditions, session.images),
            "test": _reconstruction(decoder, fit.codes, fit.conditions, held_out),
            "n": n,
            "sampler": session.sampler.name,
            "components": session.sampler.components,
            "temperature": session.temperature,
            "extractor": extractor.describe(),
            "samples": sampled,
            "floor": floor,
        }
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


def _reconstruction(
    decoder: Decoder, codes: np.ndarray, conditions: np.ndarray | Conditions, images: np.ndarray | Rows
) -> dict[str, float | int]:
    """PSNR as the task `reconstruct` gives it, and means of the similarities, of images uint8 [n, H, W, C]."""
    psnr = decoder.measure(codes, images, mse, conditions).result()["psnr"]
    parts = [slice(start, start + BATCH) for start in range(0, len(codes), BATCH)]
    measured = [similarities(images[part], decoder.images(codes[part], conditions[part])) for part in parts]
    values = {name: np.concatenate([part[name] for part in measured]) for name in measured[0]}
    means = {name: float(array.mean(dtype=np.float64)) for name, array in values.items()}
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
