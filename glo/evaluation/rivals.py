"""The task `rivals`: what `--compare --table rivals` shows of a run, measured in the same way for every method.

Distances are Fréchet distances, in the features of the extractor, to held-out images. All samples are drawn at
temperature 1.
"""

from typing import Any

import numpy as np

from glo.data.projection import project
from glo.data.randomness import Stream, random_generator
from glo.evaluation import copying
from glo.evaluation.session import Session
from glo.features import extractors
from glo.inference.psnr import psnr
from glo.metrics import distances
from glo.model.losses import mse
from glo.runtime.log import logger
from glo.settings.train import CODED

COMPONENTS = 50  # of the mixture, the same for all methods; fewer for few codes
PER_COMPONENT = 20  # codes, at least


def run(session: Session) -> dict[str, Any]:
    """Measure reconstructions, samples of three samplers, midpoints between codes, and copying.

    Copying is that of the samples of the mixture, beside held-out images and decoded fits of them.

    The Gaussian is N(0, I) for methods whose codes are trained to follow it, and fitted to the codes for others.
    Reconstructions are those of at most `CODED` training images, because a GAN has no more codes; for other sets, the
    number of images is --num_metric_samples, or that of held-out or training images if it is smaller.
    """
    dataset, settings, decoder = session.dataset, session.settings, session.run.decoder
    n = min(settings.num_metric_samples, len(dataset.test_rows), len(dataset.seen_rows))
    real = dataset.images[session.choose(dataset.test_rows, n, Stream.MEASURED_HELD_OUT)]
    seen = dataset.images[session.choose(dataset.seen_rows, n, Stream.MEASURED_TRAINING)]
    rows = session.choose(np.arange(len(session.images)), min(CODED, n), Stream.CODED_IMAGES)
    extractor = session.extractor
    sets = {
        "training": seen,
        "training_few": dataset.images[session.choose(dataset.seen_rows, len(rows), Stream.CODED_IMAGES)],
        "reconstructions": decoder.images(session.run.codes[rows], session.run.conditions[rows]),
        "gaussian": _samples(session, session.run.settings.single_sampler, n),
        "mixture": _samples(session, "gmm", n),
        **({"leading": _samples(session, "leading", n)} if session.dataset.dimension > 1 else {}),
        "midpoints": _midpoints(session, n),
    }
    of_real, frechet, features = extractors.features(extractor, real), {}, {}
    for name, images in sets.items():
        features[name] = extractors.features(extractor, images)
        frechet[name] = distances.frechet(of_real, features[name])
        logger.info("%s: Fréchet distance %.3f (%d images)", name.replace("_", " "), frechet[name], len(images))
    held_out, fit = session.held_out_fit
    test, control = copying.divide(session, of_real)
    fits = extractors.features(extractor, decoder.images(fit.codes, fit.conditions))
    copied = copying.measure(test, {"samples": features["mixture"], "held_out": control, "fits": fits})
    result = {
        "n": n,
        "extractor": extractor.describe(),
        "train_psnr": decoder.measure(session.run.codes, session.images, mse, session.run.conditions).result()["psnr"],
        "heldout_psnr": decoder.measure(fit.codes, held_out, mse, fit.conditions).result()["psnr"],
        "encoder_psnr": _encoder_psnr(session, held_out),
        "frechet": frechet,
        "components": _components(session),
        "copying": copied,
    }
    return {"rivals": result}


def _components(session: Session) -> int:
    """The number of components of the mixture."""
    return max(1, min(COMPONENTS, len(session.run.codes) // PER_COMPONENT))


def _samples(session: Session, sampler: str, n: int) -> np.ndarray:
    """Images uint8 [n, H, W, C] of codes drawn from a sampler fitted to all codes."""
    run, seed = session.run, session.settings.seed
    fitted = run.fit_sampler(sampler, _components(session) if sampler == "gmm" else None, None, seed)
    return run.decoder.images(fitted.draw(n, seed, run.settings.projection, 1.0), run.draw_conditions(n, seed))


def _midpoints(session: Session, n: int) -> np.ndarray:
    """Images uint8 [n, H, W, C] halfway between the codes of random pairs, under the condition of the first."""
    run, random = session.run, random_generator(session.settings.seed, Stream.MIDPOINTS)
    first, second = random.integers(len(run.codes), size=(2, n))
    codes = project((run.codes[first] + run.codes[second]) / 2, run.settings.projection)
    return run.decoder.images(codes, run.conditions[first])


def _encoder_psnr(session: Session, images: np.ndarray) -> float | None:
    """The PSNR [dB] of held-out images from the codes of the encoder alone; None if the run has no encoder."""
    if session.run.encoder is None:
        return None
    conditions = session.dataset.conditions[session.held_out]
    decoded = session.run.decoder.images(session.run.encoder.codes(images, conditions), conditions)
    return psnr(np.mean(np.square((decoded.astype(np.float64) - images) / 255)))
