"""Saved samplers in the run folder: each is fitted once for a checkpoint, a seed and its settings."""

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

FORMAT = 4  # increase it when the way of fitting a sampler changes: saved samplers are then fitted again
COMPARED = 2000  # the energy distance compares at most this many drawn and held-out codes
PARTS = ("sampler", "scored")  # the two samplers of a file
TRIED = 100  # number of codes drawn from a saved sampler to check it


@dataclass(frozen=True)
class Fitted:
    """A sampler fitted to all codes, and scores of the same sampler fitted to nine tenths of them.

    name: of the sampler, a key of `SAMPLERS`. sampler: fitted to all codes.
    scored: fitted with the same options to nine tenths of the codes; the last tenth is held out for scores.
    held_out: held-out codes, float32 [m, d], at most `COMPARED`.
    log_likelihood: mean log density of all held-out codes under `scored`, in nats per code; None if not available.
    seconds: time that both fits took.
    """

    name: str
    sampler: Sampler
    scored: Sampler
    held_out: np.ndarray
    log_likelihood: float | None
    seconds: float

    def draw(self, n: int, seed: int, projection: str, temperature: float = 1.0) -> np.ndarray:
        """Draw n codes, float32 [n, d], projected as in training."""
        return project(self.sampler.draw(n, random_generator(seed, Stream.SAMPLES), temperature), projection)

    def energy_distance(self, seed: int, projection: str, temperature: float = 1.0) -> float | None:
        """Energy distance between projected codes drawn from `scored` and held-out codes; None for too few codes."""
        drawn = self.scored.draw(COMPARED, random_generator(seed, Stream.SAMPLER_SCORES), temperature)
        return _finite(energy_distance(project(drawn, projection), self.held_out))

    @property
    def components(self) -> int | None:
        """Number of Gaussians of a `gmm`; None for other samplers."""
        return len(self.sampler.weights) if isinstance(self.sampler, Mixture) else None


def fitted(
    file: Path, name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any] | None = None
) -> Fitted:
    """Fit the sampler `name` to learned codes float32 [N, d], or read it from `file` if it was saved there.

    A file that holds another sampler, or is damaged, is replaced. If it cannot be written, a warning is logged.
    options: further arguments of the sampler's `fit`.
    """
    options = options or {}
    fingerprint = _fingerprint(name, codes, seed, projection, options)
    train_rows, held_out_rows = split(len(codes), seed)
    compared = codes[random_generator(seed, Stream.SAMPLER_SCORES).permutation(held_out_rows)[:COMPARED]]
    saved = _read(file, name, fingerprint, compared)
    if saved:
        return saved
    result = _fit(name, codes, train_rows, held_out_rows, compared, seed, options)
    try:
        _write(file, fingerprint, result)
    except files.WriteError as error:
        logger.warning("%s. The sampler is used now and will be fitted again next time", error)
    else:
        _remove_stale(file.parent.parent)
    return result


def _fit(
    name: str,
    codes: np.ndarray,
    train_rows: np.ndarray,
    held_out_rows: np.ndarray,
    compared: np.ndarray,
    seed: int,
    options: dict[str, Any],
) -> Fitted:
    logger.info("fitting the sampler %s to %d codes", name, len(codes))
    start = time.perf_counter()
    kind = SAMPLERS[name]
    scored = kind.fit(codes[train_rows], seed, **options)
    if isinstance(scored, Mixture):
        options = {"components": len(scored.weights)}  # the number that was chosen by held-out likelihood
    sampler = kind.fit(codes, seed, **options) if len(held_out_rows) else scored
    seconds = time.perf_counter() - start
    likelihood = scored.log_likelihood(codes[held_out_rows]) if len(held_out_rows) else None
    return Fitted(name, sampler, scored, compared, _finite(likelihood), seconds)


def _fingerprint(name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any]) -> str:
    """SHA-256 of everything that a fit depends on."""
    arguments = json.dumps([FORMAT, name, list(codes.shape), seed, projection, options], sort_keys=True)
    return hashlib.sha256(arguments.encode() + codes.astype("<f4").tobytes()).hexdigest()


def _write(file: Path, fingerprint: str, result: Fitted) -> None:
    scores = np.array([result.log_likelihood, result.seconds], np.float64)
    arrays = {
        f"{part}.{array}": getattr(getattr(result, part), array) for part in PARTS for array in result.sampler.SHAPES
    }
    with files.replacing(file) as temporary, temporary.open("wb") as opened:
        np.savez(opened, fingerprint=np.array(fingerprint), scores=scores, **arrays)


def _remove_stale(run: Path) -> None:
    """Remove the samplers of checkpoints that no longer exist. Files that cannot be removed stay."""
    for stale in paths.stale_samplers(run):
        with suppress(OSError):
            stale.unlink()


def _read(file: Path, name: str, fingerprint: str, held_out: np.ndarray) -> Fitted | None:
    """Read the sampler with this fingerprint; None if the file is missing or damaged, or holds another sampler."""
    kind, samplers = SAMPLERS[name], []
    try:
        with np.load(file, allow_pickle=False) as stored:
            if stored["fingerprint"].shape or str(stored["fingerprint"]) != fingerprint:
                return None
            parts = [{array: stored[f"{part}.{array}"] for array in kind.SHAPES} for part in PARTS]
            scores = stored["scores"]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    if scores.shape != (2,) or scores.dtype != np.float64:
        return None
    for arrays in parts:
        if not _are_valid(arrays, kind.SHAPES, held_out.shape[1]):
            return None
        samplers.append(kind(**arrays))
        if not _can_draw(samplers[-1]):
            return None
    likelihood, seconds = scores.tolist()
    return Fitted(name, *samplers, held_out, _finite(likelihood), seconds)


def _are_valid(arrays: dict[str, np.ndarray], shapes: dict[str, str], dimension: int) -> bool:
    """Whether all arrays are finite floats with the axes that `Sampler.SHAPES` declares."""
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


def _can_draw(sampler: Sampler) -> bool:
    """Whether the sampler works: valid shapes do not exclude negative weights or an indefinite covariance."""
    try:
        with np.errstate(all="ignore"):
            drawn = sampler.draw(TRIED, random_generator(0, Stream.SAMPLES))
            sampler.log_likelihood(drawn)
    except (ValueError, TypeError, tf.errors.OpError):  # NumPy's LinAlgError is a ValueError
        return False
    return bool(np.isfinite(drawn).all())


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
