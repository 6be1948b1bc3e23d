"""Fitting: finding codes of images that the generator was not trained on, with the generator frozen.

    z* = argmin over z in the projected set of  loss(g(z), x) + prior(z)

For an image with a hole, the loss is loss(known * g(z) + (1 - known) * x, x). Pixels in the hole are equal by
construction, so that no loss, not even one of pyramids, depends on what z generates there.
The problem is not convex. Each image therefore starts from several codes; after a share of the steps, only the best of
them is optimized further.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from glo.data.lazy_array import Rows
from glo.inference.neighbors import nearest
from glo.inference.prior import GaussianPrior
from glo.model.codes import adam, project
from glo.model.glo_model import GloModel, normalize_pixels
from glo.model.losses import Loss
from glo.model.schedules import descent_factor
from glo.runtime.log import progress_hidden

NEAREST = 3  # besides the mean code, fitting starts from the codes of this many nearest training images
RACING = 2  # starts under each condition, where the condition of an image is unknown: the mean code and the nearest
RACE = 0.15  # share of the steps for which all starts are optimized
CHECK = 10  # steps between checks of convergence
TOLERANCE = 1e-3  # an image has converged if its loss fell by at most this share since the last check
SETTLED = 3 / 4  # share of the steps before which convergence is not tested; the step size is then down to a seventh
ALPHA = 20.0  # step size as in --alpha; larger than in training, since the generator is frozen


class Fit(NamedTuple):
    """The best code of each image, float32 [n, d], its loss with the prior, float32 [n], and its condition [n, k]."""

    codes: np.ndarray
    losses: np.ndarray
    conditions: np.ndarray


def starts(
    images: np.ndarray,
    train_images: np.ndarray | Rows,
    train_codes: np.ndarray,
    drawn: np.ndarray | None = None,
    hole: np.ndarray | None = None,
) -> np.ndarray:
    """Choose codes to start from for images uint8 [n, H, W, C]; returns float32 [n, s, d].

    They are, in this order, the mean code, the codes `drawn`, and the codes of the nearest training images in pixels.
    train_images: uint8 [N, H, W, C]. train_codes: float32 [N, d]. drawn: float32 [k, d], used for every image.
    hole: bool [H, W, 1], pixels that are not compared.
    """
    nearest_codes = train_codes[nearest(images, train_images, NEAREST, hole)[1]]
    mean = train_codes.mean(axis=0, keepdims=True)
    shared = mean if drawn is None else np.concatenate([mean, drawn])
    shared = np.broadcast_to(shared, (len(images), *shared.shape))
    return np.concatenate([shared, nearest_codes], axis=1).astype(np.float32)


def under_each(
    starts: np.ndarray, candidates: np.ndarray, conditions: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Combine the starts of images, float32 [n, s, d], with their conditions, or with all candidates if they are None.

    conditions: float32 [n, k]. candidates: float32 [c, k]. Of several candidates, each takes the first `RACING` starts
    alone, so that the race stays short.
    Returns starts float32 [n, r, d] and their conditions float32 [n, r, k].
    """
    n, s, _ = starts.shape
    if conditions is not None:
        return starts, np.repeat(conditions[:, None], s, axis=1)
    if len(candidates) > 1:
        starts = starts[:, :RACING]
    n, r, _ = starts.shape
    conditions = np.repeat(candidates, r, axis=0)
    return np.tile(starts, (1, len(candidates), 1)), np.broadcast_to(conditions, (n, *conditions.shape))


def fit(
    model: GloModel,
    loss: Loss,
    projection: str,
    images: np.ndarray,
    starts: np.ndarray,
    steps: int,
    batch_size: int,
    prior: GaussianPrior | None = None,
    hole: np.ndarray | None = None,
    conditions: np.ndarray | None = None,
    scale: float = 1.0,
) -> Fit:
    """Fit codes to images uint8 [n, H, W, C], starting from codes float32 [n, s, d].

    conditions: of the starts, float32 [n, s, k]; None for an unconditional model. Each start keeps its own.
    steps: number of updates of each code, at most; images that have converged earlier are not updated further.
    batch_size: images at once. hole: bool [H, W, 1], pixels that are unknown in all images. scale: see `make_descent`.
    The result is deterministic.
    """
    if conditions is None:
        conditions = np.empty((*starts.shape[:2], 0), np.float32)
    descend = make_descent(model, loss if hole is None else _outside(hole, loss), projection, prior, scale)
    n, s, d = starts.shape
    race = max(1, round(RACE * steps))
    winners, winner_losses = np.empty((n, d), np.float32), np.empty(n, np.float32)
    winner_conditions = np.empty((n, conditions.shape[2]), np.float32)
    hidden = progress_hidden()
    with tqdm(total=n * steps, desc="fitting", unit="step", unit_scale=True, disable=hidden, leave=False) as bar:
        race_batch = max(1, batch_size * (1 + NEAREST) // s)  # so that more starts need no more memory
        for start in range(0, n, race_batch):
            batch = slice(start, start + race_batch)
            raced_images, raced_conditions = np.repeat(images[batch], s, axis=0), np.concatenate(conditions[batch])
            raced = descend(begin(np.concatenate(starts[batch])), raced_images, raced_conditions, 0, race, race)
            losses = raced[-1].reshape(-1, s)
            best = np.argmin(losses, axis=1)
            winners[batch] = raced[-2].reshape(-1, s, d)[np.arange(len(best)), best]
            winner_conditions[batch] = conditions[batch][np.arange(len(best)), best]
            winner_losses[batch] = losses.min(axis=1)
            bar.update(race * len(best))
        state, active = begin(winners), np.arange(n)
        state[-1][:] = winner_losses  # also the result if no steps are left after the race
        for done in range(0, steps - race, CHECK):
            count, before = min(CHECK, steps - race - done), state[-1][active]
            for start in range(0, len(active), batch_size):
                rows = active[start : start + batch_size]
                batch_state, batch_conditions = [values[rows] for values in state], winner_conditions[rows]
                updated = descend(batch_state, images[rows], batch_conditions, done, count, steps - race)
                for values, new_values in zip(state, updated, strict=True):
                    values[rows] = new_values
                bar.update(count * len(rows))
            improving = state[-1][active] < (1 - TOLERANCE) * before
            if done + count < SETTLED * (steps - race):
                continue  # at large step sizes a loss stalls because the code oscillates, not because it has converged
            bar.total -= (steps - race - done - count) * int(np.sum(~improving))
            active = active[improving]
    return Fit(state[-2], state[-1], winner_conditions)


def _outside(hole: np.ndarray, loss: Loss) -> Loss:
    """The loss of the pixels outside a hole, bool [H, W, 1]."""
    known = (~hole).astype(np.float32)
    return lambda prediction, target: loss(known * prediction + (1 - known) * target, target)


def spread(codes: np.ndarray) -> float:
    """The root of the mean squared distance of codes float32 [n, d] from their mean, or 1 if it is 0."""
    return float(np.sqrt(np.var(codes, axis=0, dtype=np.float64).sum())) or 1.0


def begin(codes: np.ndarray) -> list[np.ndarray]:
    """The state of a descent that starts from codes float32 [B, d]: arrays with one row per image.

    They are the code, Adam's first and second moment, the best code so far (float32 [B, d] each), and the loss of the
    best code (float32 [B], infinite at first).
    """
    moments = np.zeros_like(codes), np.zeros_like(codes)
    return [codes, *moments, codes.copy(), np.full(len(codes), np.inf, np.float32)]


def make_descent(
    model: GloModel, loss: Loss, projection: str, prior: GaussianPrior | None = None, scale: float = 1.0
) -> Callable[[list[np.ndarray], np.ndarray, np.ndarray, int, int, int], list[np.ndarray]]:
    """Compile the descent (state, images, conditions, done, count, steps) -> state after `count` more updates.

    images: uint8 [B, H, W, C]. conditions: float32 [B, k]. state: see `begin`. steps: planned number of updates, over
    which the step size falls to 0. done: how many of them are reflected in the state. scale: factor on the step size,
    the norm of a typical code.
    """

    rows = tf.TensorSpec([None, model.dimension], tf.float32)
    pixels = tf.TensorSpec([None, *model.image_shape], tf.uint8)
    vectors = tf.TensorSpec([None, model.condition_size], tf.float32)
    number = tf.TensorSpec([], tf.int32)
    state_specs = [rows] * 4 + [tf.TensorSpec([None], tf.float32)]

    @tf.function(input_signature=[state_specs, pixels, vectors, number, number, number])
    def descend(
        state: list[tf.Tensor],
        images: tf.Tensor,
        conditions: tf.Tensor,
        done: tf.Tensor,
        count: tf.Tensor,
        steps: tf.Tensor,
    ) -> list[tf.Tensor]:
        codes, first, second, best, best_losses = state
        codes, target = project(codes, projection), normalize_pixels(images)
        for step in tf.range(done, done + count):
            with tf.GradientTape() as tape:
                tape.watch(codes)
                losses = loss(model.decode(codes, conditions), target)
                if prior is not None:
                    losses += prior(codes)
            better = losses < best_losses
            best, best_losses = tf.where(better[:, None], codes, best), tf.where(better, losses, best_losses)
            visits = tf.fill(tf.shape(losses), step + 1)
            update, first, second = adam(first, second, visits, tape.gradient(losses, codes))
            codes = project(codes - ALPHA * scale * descent_factor(step, steps) * update, projection)
        return [codes, first, second, best, best_losses]

    def run(
        state: list[np.ndarray], images: np.ndarray, conditions: np.ndarray, done: int, count: int, steps: int
    ) -> list[np.ndarray]:
        return [values.numpy() for values in descend(state, images, conditions, done, count, steps)]

    return run
