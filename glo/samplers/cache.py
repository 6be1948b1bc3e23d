"""Fitted samplers, kept in the run folder: fitted once for a checkpoint, a seed and the sampler's own settings."""

import hashlib
import json
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo.building.initial_codes import project
from glo.runtime import files, paths
from glo.runtime.log import logger
from glo.samplers import SAMPLERS, Sampler
from glo.samplers.held_out import energy_distance, split

FORMAT = 2  # raised when a sampler is fitted otherwise than before
COMPARED = 2000  # drawn codes, and held-out ones, whose distance is measured, at most
TRIED = 100  # codes that a sampler from a file must be able to draw


@dataclass(frozen=True)
class Fitted:
    """A sampler fitted to nine tenths of the codes, and how it does on the tenth that was held out.

    log_likelihood: mean log density of the held-out codes, nats a code; None where there is none.
    energy_distance: between drawn, projected codes and held-out ones; None where there are too few.
    seconds: what fitting took.
    """

    name: str
    sampler: Sampler
    log_likelihood: float | None
    energy_distance: float | None
    seconds: float

    def draw(self, n: int, seed: int, projection: str, temperature: float = 1.0) -> np.ndarray:
        """n codes, float32 [n, d], each projected as in training."""
        return project(self.sampler.draw(n, np.random.default_rng([seed, 3]), temperature), projection)


def fitted(
    file: Path, name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any] | None = None
) -> Fitted:
    """The sampler of that name for learned codes float32 [N, d], read from `file` if that holds this very one.

    Anything else in the file, stale or damaged, is replaced. Where it cannot be written there is a warning.
    options: further arguments of the sampler's `fit`.
    """
    options = options or {}
    key = _fingerprint(name, codes, seed, projection, options)
    found = _read(file, name, key, codes.shape[1])
    if found:
        return found
    found = _fit(name, codes, seed, projection, options)
    try:
        _write(file, key, found)
    except files.WriteError as error:
        logger.warning("%s. The sampler is used all the same, and fitted anew next time", error)
    else:
        _sweep(file.parent.parent)
    return found


def _fit(name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any]) -> Fitted:
    started = time.perf_counter()
    train, held_out = split(len(codes), seed)
    sampler = SAMPLERS[name].fit(codes[train], seed, **options)
    seconds = time.perf_counter() - started
    likelihood = sampler.log_likelihood(codes[held_out]) if len(held_out) else None
    random = np.random.default_rng([seed, 7])
    some = codes[random.permutation(held_out)[:COMPARED]]
    distance = energy_distance(project(sampler.draw(COMPARED, random), projection), some)
    return Fitted(name, sampler, _finite(likelihood), _finite(distance), seconds)


def _fingerprint(name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any]) -> str:
    about = json.dumps([FORMAT, name, list(codes.shape), seed, projection, options], sort_keys=True)
    return hashlib.sha256(about.encode() + codes.astype("<f4").tobytes()).hexdigest()


def _write(file: Path, key: str, found: Fitted) -> None:
    scores = [found.log_likelihood, found.energy_distance, found.seconds]
    arrays = {array: getattr(found.sampler, array) for array in found.sampler.SHAPES}
    with files.replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, fingerprint=np.array(key), scores=np.array(scores, np.float64), **arrays)


def _sweep(run: Path) -> None:
    """Remove the samplers of checkpoints that are gone, as far as that is allowed."""
    for stale in paths.stale_samplers(run):
        with suppress(OSError):
            stale.unlink()


def _read(file: Path, name: str, key: str, dimension: int) -> Fitted | None:
    """What the file holds, if that is a sound sampler with this fingerprint."""
    shapes = SAMPLERS[name].SHAPES
    try:
        with np.load(file, allow_pickle=False) as stored:
            if stored["fingerprint"].shape or str(stored["fingerprint"]) != key:
                return None
            arrays = {array: stored[array] for array in shapes}
            scores = stored["scores"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    if not _sound(arrays, shapes, dimension) or scores.shape != (3,) or scores.dtype != np.float64:
        return None
    sampler = SAMPLERS[name](**arrays)
    if not _draws(sampler):
        return None
    likelihood, distance, seconds = scores.tolist()
    return Fitted(name, sampler, _finite(likelihood), _finite(distance), seconds)


def _sound(arrays: dict[str, np.ndarray], shapes: dict[str, str], dimension: int) -> bool:
    """Floats, all finite, with as many axes as there are letters, and equal lengths for equal letters."""
    lengths = {"d": dimension, "1": 1}
    for name, letters in shapes.items():
        array = arrays[name]
        if array.dtype not in (np.float32, np.float64) or array.ndim != len(letters) or not array.size:
            return False
        if any(lengths.setdefault(letter, n) != n for letter, n in zip(letters, array.shape, strict=True)):
            return False
        if not np.isfinite(array).all():
            return False
    return True


def _draws(sampler: Sampler) -> bool:
    """Whether it can be used: arrays of the right shapes may hold negative weights, or a covariance without a root."""
    try:
        with np.errstate(all="ignore"):
            drawn = sampler.draw(TRIED, np.random.default_rng(0))
            sampler.log_likelihood(drawn)
    except (ValueError, TypeError, tf.errors.OpError):  # NumPy's LinAlgError is a ValueError
        return False
    return bool(np.isfinite(drawn).all())


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
