"""The task `metrics`: numbers for the quality of reconstructions and samples, with those of real images beside them."""

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

BATCH = 256  # number of images whose similarities are computed at once


def run(session: Session) -> dict[str, Any]:
    """Measure reconstructions of training and held-out images, and compare samples with held-out images.

    The number of samples is --num_metric_samples, but at most the number of held-out or training images; they are
    compared with the same number of held-out images. `floor` is each metric with training images in place of samples,
    the value of a perfect generator. For the memorisation share, which training images cannot provide, the floor is
    that of held-out images. Results depend only on the checkpoint, the dataset and the settings.
    """
    dataset, settings, decoder = session.dataset, session.settings, session.run.decoder
    n = min(settings.num_metric_samples, len(dataset.test_rows), len(session.seen_images))
    real = dataset.images[session.choose(dataset.test_rows, n, Stream.MEASURED_HELD_OUT)]
    training = dataset.images[session.choose(dataset.seen_rows, n, Stream.MEASURED_TRAINING)]
    generated = decoder.images(*session.draw(session.sampler, n, None))
    extractor = extractors.make(settings, dataset)
    real_features, training_features, generated_features = (
        extractors.features(extractor, images) for images in (real, training, generated)
    )
    if n <= real_features.shape[1]:
        logger.warning(
            "%d images are too few for %d features: frechet_%s is too large, and can only be compared with its floor",
            n, real_features.shape[1], extractor.name,
        )  # fmt: skip
    sampled = _compare(extractor, real, real_features, generated, generated_features)
    floor = _compare(extractor, real, real_features, training, training_features)
    logger.info("comparing samples with their nearest training images")
    share, control = memorization.share_and_control(generated, session.seen_images, real)
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
    """Format results as text for the terminal, with one line per metric."""
    extractor = results["extractor"]
    details = ", ".join(f"{key} {_short(value)}" for key, value in extractor.items() if key != "name")
    return "\n".join(
        [
            f"reconstruction of {results['train']['n']} training and {results['test']['n']} held-out images",
            *_lines(results, "train", "test"),
            "",
            f"{results['n']} samples ({results['sampler']}) against the same number of held-out images, with the "
            f"extractor {extractor['name']} ({details}); floor: training images in place of the samples",
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
    """PSNR of images uint8 [n, H, W, C], as the task `reconstruct` computes it, and the means of their similarities."""
    psnr = decoder.measure(codes, images, mse, conditions).result()["psnr"]
    parts = [slice(start, start + BATCH) for start in range(0, len(codes), BATCH)]
    batches = [similarities(images[part], decoder.images(codes[part], conditions[part])) for part in parts]
    values = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    means = {name: float(array.mean(dtype=np.float64)) for name, array in values.items()}
    return {"psnr": psnr, **means, "n": len(codes)}


def _compare(
    extractor: Extractor, real: np.ndarray, real_features: np.ndarray, images: np.ndarray, features: np.ndarray
) -> dict[str, float]:
    """Compare images uint8 [n, H, W, C] and their features float32 [n, d] with real ones, by metric name."""
    name = extractor.name
    return {
        "chi_square": distances.chi_square(real, images),
        "sliced_wasserstein": distances.sliced_wasserstein(real, images),
        f"frechet_{name}": distances.frechet(real_features, features),
        f"kid_{name}": distances.kid(real_features, features),
        **{f"{key}_{name}": value for key, value in prdc(real_features, features).items()},
    }


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else f"{value:.4f}"
