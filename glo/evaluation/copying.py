"""Copying by the samples of a session: figures beside those of controls, one line in words, and the worst samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from glo import pictures
from glo.data.randomness import Stream, permutation
from glo.evaluation.session import Session
from glo.features import extractors
from glo.inference.neighbors import nearest, spectra
from glo.metrics.copying import Copying, CopyingTest, Share, membership
from glo.metrics.memorization import ratios
from glo.runtime.log import logger

SHOWN = 10  # of the samples that are nearest to training images
FIGURES = ("c_t", "nearer", "nearer_low", "nearer_high", "authentic", "membership", "membership_low", "membership_high")
NAMES = {"samples": "samples", "held_out": "held-out", "fits": "fits"}


def divide(session: Session, held_out: np.ndarray) -> tuple[CopyingTest, np.ndarray]:
    """The test of copying with one random half of held-out features [m, d], m > 1; the other half is its control."""
    order = permutation(len(held_out), session.settings.seed, Stream.COPYING_HALVES)
    reference, control = held_out[order[: len(order) // 2]], held_out[order[len(order) // 2 :]]
    return CopyingTest(session.train_features, reference, session.settings.seed), control


def measure(test: CopyingTest, sets: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The figures of each set of features [n, d], by name: `samples` and its controls, `held_out` and, if it can be,
    `fits`, which are decoded fits of held-out images.

    They are followed by the verdict: `near_memorising`, None if it is not measured, and a line in words.
    """
    figures = {name: test.measure(features) for name, features in sets.items()}
    samples = figures["samples"]
    control = "fits" if "fits" in figures and figures["fits"].nearer else "held_out"
    side = samples.side(figures["fits"] if control == "fits" else None)
    return {
        **{name: _flat(result) for name, result in figures.items()},
        "near_memorising": None if side is None else side > 0,
        "words": _words(side, samples, figures[control], control),
    }


def memberships(session: Session, sets: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Membership of samples of a sampler that is fitted to half of the codes, beside that of other sets of features."""
    n = max(map(len, sets.values()))
    logger.info("fitting the sampler to half of the codes, for membership")
    sampler, half = session.sampler.fit_half(session.run.codes, session.settings.seed)
    images = session.run.decoder.images(*session.draw(sampler, n, None))
    in_half = np.isin(session.compared_rows, session.coded_rows[half])
    in_other = np.isin(session.compared_rows, session.coded_rows) & ~in_half
    features = session.train_features[in_half], session.train_features[in_other]
    sets = {**sets, "samples": extractors.features(session.extractor, images)}
    return {name: _interval("membership", membership(values, *features)) for name, values in sets.items()}


def worst(session: Session, test: CopyingTest, images: np.ndarray, features: np.ndarray) -> np.ndarray:
    """A picture of the samples whose features are nearest to those of a training image, relative to its neighbors.

    images: samples uint8 [n, H, W, C]. features: float32 [n, d]. Below each sample are the nearest training images by
    features, by pixels, and by features that shifts do not change.
    """
    distances, rows = test.train.nearest(features)
    order = np.argsort(ratios(distances, test.train.spacings(rows)), kind="stable")[:SHOWN]
    by_pixels, by_spectra = (
        nearest(images[order], session.seen_images, **options)[1][:, 0] for options in ({}, {"features": spectra})
    )
    panels = {
        f"the {len(order)} samples that are most like copies": images[order],
        f"nearest training images by {session.extractor.name}": session.seen_images[session.compared_rows[rows[order]]],
        "by pixels": session.seen_images[by_pixels],
        "by pixels, allowing for shifts": session.seen_images[by_spectra],
    }
    return pictures.below(
        *(pictures.captioned(text, pictures.grid(shown, len(shown))) for text, shown in panels.items())
    )


def table(results: dict[str, Any]) -> list[str]:
    """Lines for the terminal: the words, and the figures of samples and their controls side by side."""
    columns = [name for name in NAMES if name in results]
    names = [name for name in (*FIGURES, "n", "cells") if name in results["samples"]]
    width = max(map(len, names))
    lines = [f"{name:{width}}" + "".join(f"  {_cell(results[c].get(name)):>12}" for c in columns) for name in names]
    return [results["words"], f"{'':{width}}" + "".join(f"  {NAMES[c]:>12}" for c in columns), *lines]


def _flat(result: Copying) -> dict[str, float | int | None]:
    return {
        "c_t": result.c_t,
        **_interval("nearer", result.nearer),
        "authentic": result.authentic,
        "n": result.n,
        "cells": result.cells,
    }


def _interval(name: str, share: Share | None) -> dict[str, float | None]:
    low, high = share.interval if share else (None, None)
    return {name: share.value if share else None, f"{name}_low": low, f"{name}_high": high}


def _words(side: int | None, samples: Copying, control: Copying, name: str) -> str:
    if side is None:
        return "copying: not measured: there are too few held-out images or samples"
    others = "held-out images" if name == "held_out" else "decoded fits of held-out images"
    how = {
        1: f"nearer to training images than {others} are",
        0: f"as near to training images as {others} are",
        -1: f"farther from training images than {others} are",
    }[side]
    beside = "" if control.c_t is None else f", control {control.c_t:.1f}"
    return f"copying: samples are {how} (C_T {samples.c_t:.1f}{beside})"


def _cell(value: float | int | None) -> str:
    return "not measured" if value is None else str(value) if isinstance(value, int) else f"{value:.4f}"
