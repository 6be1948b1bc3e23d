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

from glo.data.projection import project
from glo.data.randomness import Stream, random_generator
from glo.runtime import files, paths
from glo.runtime.log import logger
from glo.samplers import SAMPLERS, Sampler
from glo.samplers.gmm import Mixture
from glo.samplers.held_out import energy_distance, split

FORMAT = 3  # raised when a sampler is fitted otherwise than before
COMPARED = 2000  # drawn codes, and held-out ones, whose distance is measured, at most
PARTS = ("sampler", "scored")  # of a file
TRIED = 100  # codes that a sampler from a file must be able to draw


@dataclass(frozen=True)
class Fitted:
    """A sampler fitted to all codes, and how one that was fitted to nine tenths of them does on the last tenth.

    name: of the sampler. scored: the one that was fitted to nine tenths, with the same options.
    held_out: codes of the last tenth, float32 [m, d], `COMPARED` at most.
    log_likelihood: mean log density of all held-out codes under `scored`, nats a code; None where there is none.
    seconds: what both fits took.
    """

    name: str
    sampler: Sampler
    scored: Sampler
    held_out: np.ndarray
    log_likelihood: float | None
    seconds: float

    def draw(self, n: int, seed: int, projection: str, temperature: float = 1.0) -> np.ndarray:
        """n codes, float32 [n, d], each projected as in training."""
        return project(self.sampler.draw(n, random_generator(seed, Stream.SAMPLES), temperature), projection)

    def energy_distance(self, seed: int, projection: str, temperature: float = 1.0) -> float | None:
        """Between codes that `scored` draws, projected, and held-out ones; None where there are too few."""
        drawn = self.scored.draw(COMPARED, random_generator(seed, Stream.SAMPLER_SCORES), temperature)
        return _finite(energy_distance(project(drawn, projection), self.held_out))

    @property
    def components(self) -> int | None:
        """The number of Gaussians of a `gmm`, None for other samplers."""
        return len(self.sampler.weights) if isinstance(self.sampler, Mixture) else None


def fitted(
    file: Path, name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any] | None = None
) -> Fitted:
    """The sampler of that name for learned codes float32 [N, d], read from `file` if it holds exactly this one.

    Anything else in the file, stale or damaged, is replaced. Where it cannot be written there is a warning.
    options: further arguments of the sampler's `fit`.
    """
    options = options or {}
    key = _fingerprint(name, codes, seed, projection, options)
    train, held_out = split(len(codes), seed)
    some = codes[random_generator(seed, Stream.SAMPLER_SCORES).permutation(held_out)[:COMPARED]]
    result = _read(file, name, key, some)
    if result:
        return result
    result = _fit(name, codes, train, held_out, some, seed, options)
    try:
        _write(file, key, result)
    except files.WriteError as error:
        logger.warning("%s. The sampler is used, and is fitted again next time", error)
    else:
        _sweep(file.parent.parent)
    return result


def _fit(
    name: str,
    codes: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    some: np.ndarray,
    seed: int,
    options: dict[str, Any],
) -> Fitted:
    started = time.perf_counter()
    kind = SAMPLERS[name]
    scored = kind.fit(codes[train], seed, **options)
    if isinstance(scored, Mixture):
        options = {"components": len(scored.weights)}  # as many as held-out codes chose
    sampler = kind.fit(codes, seed, **options) if len(held_out) else scored
    seconds = time.perf_counter() - started
    likelihood = scored.log_likelihood(codes[held_out]) if len(held_out) else None
    return Fitted(name, sampler, scored, some, _finite(likelihood), seconds)


def _fingerprint(name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any]) -> str:
    about = json.dumps([FORMAT, name, list(codes.shape), seed, projection, options], sort_keys=True)
    return hashlib.sha256(about.encode() + codes.astype("<f4").tobytes()).hexdigest()


def _write(file: Path, key: str, result: Fitted) -> None:
    scores = np.array([result.log_likelihood, result.seconds], np.float64)
    arrays = {
        f"{part}.{array}": getattr(getattr(result, part), array) for part in PARTS for array in result.sampler.SHAPES
    }
    with files.replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, fingerprint=np.array(key), scores=scores, **arrays)


def _sweep(run: Path) -> None:
    """Remove the samplers of checkpoints that are gone, as far as that is allowed."""
    for stale in paths.stale_samplers(run):
        with suppress(OSError):
            stale.unlink()


def _read(file: Path, name: str, key: str, held_out: np.ndarray) -> Fitted | None:
    """What the file holds, if that is a sound sampler with this fingerprint."""
    kind, samplers = SAMPLERS[name], []
    try:
        with np.load(file, allow_pickle=False) as stored:
            if stored["fingerprint"].shape or str(stored["fingerprint"]) != key:
                return None
            parts = [{array: stored[f"{part}.{array}"] for array in kind.SHAPES} for part in PARTS]
            scores = stored["scores"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    if scores.shape != (2,) or scores.dtype != np.float64:
        return None
    for arrays in parts:
        if not _sound(arrays, kind.SHAPES, held_out.shape[1]):
            return None
        samplers.append(kind(**arrays))
        if not _draws(samplers[-1]):
            return None
    likelihood, seconds = scores.tolist()
    return Fitted(name, *samplers, held_out, _finite(likelihood), seconds)


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
            drawn = sampler.draw(TRIED, random_generator(0, Stream.SAMPLES))
            sampler.log_likelihood(drawn)
    except (ValueError, TypeError, tf.errors.OpError):  # NumPy's LinAlgError is a ValueError
        return False
    return bool(np.isfinite(drawn).all())


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
