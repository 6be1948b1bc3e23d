"""Saved samplers in the run folder: each is fitted once for a checkpoint, a seed and its settings."""

import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from glo.data import safe_npz
from glo.data.projection import project
from glo.data.randomness import Stream, permutation, random_generator
from glo.runtime import files, paths
from glo.runtime.log import logger
from glo.samplers import SAMPLERS, Sampler
from glo.samplers.gmm import components_for
from glo.samplers.held_out import energy_distance, split
from glo.samplers.kde import Kernel
from glo.settings import MIXTURES

FORMAT = 8  # increase it when the way of fitting a sampler changes: saved samplers are then fitted again
COMPARED = 2000  # the energy distance compares at most this many drawn and held-out codes
# A file may take MAX_RATIO times as much as the codes, of which a sampler keeps no more than a few copies, and further
# bytes: for networks, and for the covariances of as many Gaussians as --components allows for codes of that dimension.
MAX_RATIO, MAX_FURTHER = 8, 1 << 28
GAP = 1.0  # nats per dimension by which held-out codes are less likely than fitted ones if a sampler overfits
DRAWN = 100  # number of codes drawn from a saved sampler to check it


@dataclass(frozen=True)
class Fitted:
    """A sampler fitted to nine tenths of the codes, and its scores on the last tenth.

    name: of the sampler, a key of `SAMPLERS`. held_out: held-out codes, float32 [m, d], at most `COMPARED`.
    log_likelihood: mean log density of all held-out codes, in nats per code; None if not available.
    fitted_log_likelihood: the same of codes that the sampler was fitted to, of at most `COMPARED`.
    seconds: time that the fit took. n: number of codes that the sampler was fitted to.
    """

    name: str
    sampler: Sampler
    held_out: np.ndarray
    log_likelihood: float | None
    fitted_log_likelihood: float | None
    seconds: float
    n: int

    def draw(self, n: int, seed: int, projection: str, temperature: float = 1.0) -> np.ndarray:
        """Draw n codes, float32 [n, d], projected as in training."""
        return project(self.sampler.draw(n, random_generator(seed, Stream.SAMPLES), temperature), projection)

    def energy_distance(self, seed: int, projection: str, temperature: float = 1.0) -> float | None:
        """Energy distance between projected codes that are drawn and held-out codes; None for too few codes."""
        drawn = self.sampler.draw(COMPARED, random_generator(seed, Stream.SAMPLER_SCORES), temperature)
        return _finite(energy_distance(project(drawn, projection), self.held_out))

    @property
    def components(self) -> int | None:
        """Number of Gaussians of a `gmm` or `leading`; None for other samplers."""
        return len(self.sampler.weights) if self.name in MIXTURES else None

    @property
    def bandwidth(self) -> float | None:
        """Bandwidth of a `kde`, in standard deviations of the codes; None for other samplers."""
        return float(self.sampler.bandwidth[0]) if isinstance(self.sampler, Kernel) else None

    @property
    def overfits(self) -> bool:
        """Whether held-out codes are far less likely than those that the sampler was fitted to, see `GAP`."""
        if self.log_likelihood is None or self.fitted_log_likelihood is None:
            return False
        return self.fitted_log_likelihood - self.log_likelihood > GAP * self.held_out.shape[1]

    def fit_half(self, codes: np.ndarray, seed: int) -> tuple["Fitted", np.ndarray]:
        """Fit the same kind of sampler to a random half of the codes float32 [N, d], N > 1.

        A mixture has fewer components, so that each describes as many codes. Returns the sampler and the rows of
        the half, see `half`.
        """
        rows = half(len(codes), seed)
        options = {"components": components_for(len(rows), self.n, self.components)} if self.components else {}
        return replace(self, sampler=SAMPLERS[self.name].fit(codes[rows], seed, **options), n=len(rows)), rows


def half(n: int, seed: int) -> np.ndarray:
    """The rows of a random half of n codes, int64 [n // 2], ascending."""
    return np.sort(permutation(n, seed, Stream.MEMBERSHIP)[: n // 2])


def fitted(
    file: Path, name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any] | None = None
) -> Fitted:
    """Fit the sampler `name` to nine tenths of the codes float32 [N, d], or read it from `file` if it was saved there.

    A file that holds another sampler, or is damaged, is replaced. A warning is logged about a damaged file, and if the
    new one cannot be written.
    options: further arguments of the sampler's `fit`.
    """
    options = options or {}
    fingerprint = _fingerprint(name, codes, seed, projection, options)
    train_rows, held_out_rows = split(len(codes), seed)
    compared = codes[random_generator(seed, Stream.SAMPLER_SCORES).permutation(held_out_rows)[:COMPARED]]
    further = MAX_FURTHER + 8 * options.get("components", 0) * codes.shape[1] ** 2
    try:
        if saved := _read(file, name, fingerprint, compared, len(train_rows), MAX_RATIO * codes.nbytes + further):
            return saved
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        logger.warning("%s cannot be used, and the sampler is fitted again: %s", file, error)
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
    logger.info("fitting the sampler %s to %d codes", name, len(train_rows))
    start = time.perf_counter()
    sampler = SAMPLERS[name].fit(codes[train_rows], seed, **options)
    seconds = time.perf_counter() - start
    likelihood = sampler.log_likelihood(codes[held_out_rows]) if len(held_out_rows) else None
    some = train_rows[permutation(len(train_rows), seed, Stream.SAMPLER_SCORES)[:COMPARED]]
    fitted_likelihood = _finite(sampler.log_likelihood(codes[some]))
    return Fitted(name, sampler, compared, _finite(likelihood), fitted_likelihood, seconds, len(train_rows))


def _fingerprint(name: str, codes: np.ndarray, seed: int, projection: str, options: dict[str, Any]) -> str:
    """SHA-256 of everything that a fit depends on."""
    arguments = json.dumps([FORMAT, name, list(codes.shape), seed, projection, options], sort_keys=True)
    return hashlib.sha256(arguments.encode() + codes.astype("<f4").tobytes()).hexdigest()


def _write(file: Path, fingerprint: str, result: Fitted) -> None:
    scores = np.array([result.log_likelihood, result.fitted_log_likelihood, result.seconds], np.float64)
    arrays = {array: getattr(result.sampler, array) for array in result.sampler.SHAPES}
    safe_npz.write(file, {"fingerprint": np.array(fingerprint), "scores": scores, **arrays})


def _remove_stale(run: Path) -> None:
    """Remove the samplers of checkpoints that no longer exist. Files that cannot be removed stay."""
    for stale in paths.stale_samplers(run):
        with suppress(OSError):
            stale.unlink()


def _read(file: Path, name: str, fingerprint: str, held_out: np.ndarray, n: int, max_bytes: int) -> Fitted | None:
    """Read the sampler with this fingerprint; None if the file holds another one.

    Raises `ValueError`, with the reason, if the file is damaged, and `OSError` if it cannot be read.
    """
    kind = SAMPLERS[name]
    arrays = safe_npz.read(file, max_bytes)
    stored = arrays.pop("fingerprint", np.zeros(()))
    if stored.shape or stored.dtype.kind != "U":
        raise ValueError("it does not say what its sampler was fitted to")
    if str(stored) != fingerprint:
        return None
    scores = arrays.pop("scores", np.zeros(()))
    if scores.shape != (3,) or scores.dtype != np.float64 or not scores[2] >= 0:
        raise ValueError("its scores are damaged")
    if arrays.keys() != kind.SHAPES.keys():
        raise ValueError(f"it does not hold the arrays of {name}")
    _check(arrays, kind.SHAPES, held_out.shape[1])
    sampler = kind(**arrays)
    _check_draws(sampler)
    likelihood, fitted_likelihood, seconds = scores.tolist()
    return Fitted(name, sampler, held_out, _finite(likelihood), _finite(fitted_likelihood), seconds, n)


def _check(arrays: dict[str, np.ndarray], shapes: dict[str, str], dimension: int) -> None:
    """Raise `ValueError` unless all arrays are finite floats with the axes that `Sampler.SHAPES` declares."""
    lengths = {"d": dimension, "1": 1}
    for name, letters in shapes.items():
        array = arrays[name]
        if array.dtype not in (np.float32, np.float64) or array.ndim != len(letters) or not array.size:
            raise ValueError(f"{name} is {array.dtype} {list(array.shape)}")
        if any(lengths.setdefault(letter, n) != n for letter, n in zip(letters, array.shape, strict=True)):
            raise ValueError(f"{name} has shape {list(array.shape)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")


def _check_draws(sampler: Sampler) -> None:
    """Raise `ValueError` unless the sampler works: valid shapes do not exclude weights or covariances below 0."""
    try:
        with np.errstate(all="ignore"):
            drawn = sampler.draw(DRAWN, random_generator(0, Stream.SAMPLES))
            sampler.log_likelihood(drawn)
    except (ValueError, TypeError, tf.errors.OpError) as error:  # NumPy's LinAlgError is a ValueError
        raise ValueError("its arrays do not define a distribution") from error
    if not np.isfinite(drawn).all():
        raise ValueError("its arrays do not define a distribution")


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
