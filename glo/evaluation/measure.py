"""The task `metrics`: numbers for the quality of reconstructions and samples, with those of real images beside them."""

import math
from typing import Any

import numpy as np

from glo import pictures
from glo.data.conditions import Conditions
from glo.data.lazy_array import Rows
from glo.data.randomness import Stream
from glo.evaluation import copying
from glo.evaluation.generate import warn_of_overfitting
from glo.evaluation.session import Session
from glo.features import extractors
from glo.features.extractors import Extractor
from glo.inference.decoder import Decoder
from glo.inference.neighbors import pixels, spectra
from glo.metrics import distances, memorization
from glo.metrics.linear import pca_psnr
from glo.metrics.manifold import prdc
from glo.metrics.similarity import similarities
from glo.model.losses import mse
from glo.runtime.log import logger

BATCH = 256  # number of images whose similarities are computed at once
SEARCHED = 2000  # at most this many samples and held-out images count for the memorisation shares
# Names of the terminal, where those of metrics.json could be misunderstood.
NAMES = {"psnr": "psnr, pooled", "psnr_image_mean": "psnr, mean of images", "psnr_pca": "psnr of PCA, same d"}


def run(session: Session) -> dict[str, Any]:
    """Measure reconstructions of training and held-out images, and compare samples with held-out images.

    The number of samples is --num_metric_samples, but at most the number of held-out or training images; they are
    compared with the same number of held-out images. `floor` is each metric with training images in place of samples,
    the value of a perfect generator. For the memorisation shares, which training images cannot provide, the floor is
    that of held-out images. `copying` is described in `glo.evaluation.copying`. Writes a picture of the samples that
    are most like copies. Results depend only on the checkpoint, the dataset and the settings.
    """
    dataset, settings, decoder = session.dataset, session.settings, session.run.decoder
    n = min(settings.num_metric_samples, len(dataset.test_rows), len(session.seen_images))
    real = dataset.images[session.choose(dataset.test_rows, n, Stream.MEASURED_HELD_OUT)]
    training = dataset.images[session.choose(dataset.seen_rows, n, Stream.MEASURED_TRAINING)]
    generated = decoder.images(*session.draw(session.sampler, n, None))
    extractor = session.extractor
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
    some = slice(None, None, math.ceil(n / SEARCHED))  # spread evenly: the held-out images are in the file's order
    for name, features in (("memorisation_share", pixels), ("memorisation_share_shifted", spectra)):
        shares = memorization.share_and_control(generated[some], session.seen_images, real[some], features)
        sampled[name], floor[name] = shares
    held_out, fit = session.held_out_fit
    fits = extractors.features(extractor, decoder.images(fit.codes, fit.conditions))
    test, control = copying.divide(session, real_features)
    sets = {"samples": generated_features, "held_out": control, "fits": fits}
    copied = copying.measure(test, sets)
    for name, figures in copying.memberships(session, sets).items():
        copied[name] |= figures
    logger.info("%s", copied["words"])
    warn_of_overfitting(session.sampler)
    pictures.save(session.path("copying", "png"), copying.worst(session, test, generated, generated_features))
    linear = pca_psnr(
        session.seen_images, {"train": session.images, "test": held_out}, session.run.model.dimension, settings.seed
    )
    return {
        "metrics": {
            "train": _reconstruction(decoder, session.run.codes, session.run.conditions, session.images)
            | {"psnr_pca": linear["train"]},
            "test": _reconstruction(decoder, fit.codes, fit.conditions, held_out) | {"psnr_pca": linear["test"]},
            "n": n,
            "sampler": session.sampler.name,
            "temperature": session.temperature,
            **session.scores(session.sampler),
            "extractor": extractor.describe(),
            "samples": sampled,
            "floor": floor,
            "copying": copied,
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
            f"{results['n']} samples ({sampler_text(results)}) against the same number of held-out images, with the "
            f"extractor {extractor['name']} ({details}); floor: training images in place of the samples",
            *_lines(results, "samples", "floor"),
            "",
            *copying.table(results["copying"]),
        ]
    )


def sampler_text(results: dict[str, Any]) -> str:
    """Name a sampler with its options and the log-likelihood of held-out codes."""
    parts = [results["sampler"]]
    parts += [f"{name} {_short(results[name])}" for name in ("components", "bandwidth") if results[name] is not None]
    parts += [f"temperature {results['temperature']:g}", f"fitted to {results['fitted_to']}"]
    if results["log_likelihood"] is not None:
        parts.append(f"log-likelihood of held-out codes {results['log_likelihood']:.4g}")
    return ", ".join(parts)


def _lines(results: dict[str, Any], left: str, right: str) -> list[str]:
    names = [name for name in results[left] if name != "n"]
    shown = [NAMES.get(name, name) for name in names]
    width = max(map(len, shown))
    rows = [
        f"{label:{width}}  {results[left][name]:10.4f}  {results[right][name]:10.4f}"
        for name, label in zip(names, shown, strict=True)
    ]
    return [f"{'metric':{width}}  {left:>10}  {right:>10}", *rows]


def _reconstruction(
    decoder: Decoder, codes: np.ndarray, conditions: np.ndarray | Conditions, images: np.ndarray | Rows
) -> dict[str, float | int]:
    """PSNRs of images uint8 [n, H, W, C], as the task `reconstruct` computes them, and means of their similarities."""
    measured = decoder.measure(codes, images, mse, conditions).result()
    psnrs = {name: measured[name] for name in ("psnr", "psnr_image_mean")}
    parts = [slice(start, start + BATCH) for start in range(0, len(codes), BATCH)]
    batches = [similarities(images[part], decoder.images(codes[part], conditions[part])) for part in parts]
    values = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    means = {name: float(array.mean(dtype=np.float64)) for name, array in values.items()}
    return {**psnrs, **means, "n": len(codes)}


def _compare(
    extractor: Extractor, real: np.ndarray, real_features: np.ndarray, images: np.ndarray, features: np.ndarray
) -> dict[str, float]:
    """Compare images uint8 [n, H, W, C] and their features float32 [n, d] with real ones, by metric name."""
    name = extractor.name
    kid, kid_spread = distances.kid(real_features, features)
    return {
        "chi_square": distances.chi_square(real, images),
        "sliced_wasserstein": distances.sliced_wasserstein(real, images),
        f"frechet_{name}": distances.frechet(real_features, features),
        f"kid_{name}": kid,
        f"kid_spread_{name}": kid_spread,
        **{f"{key}_{name}": value for key, value in prdc(real_features, features).items()},
    }


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else f"{value:.4f}" if isinstance(value, float) else str(value)
