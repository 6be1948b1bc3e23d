"""Fitting: the codes of images that were not trained on, found with the generator frozen.

    z* = argmin over z in the projected set of  loss(g(z), x) + prior(z)

In an image with a hole, only what is known counts: loss(known * g(z) + (1 - known) * x, x). Pixels in the hole agree
whatever z is, so that any loss, one of pyramids too, sees no difference there.
The problem is not convex, so each image starts from several codes: all of them race for a while, the best goes on.
"""

from collections.abc import Callable

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

NEAREST = 3  # starts from the codes of this many nearest training images, beside the mean code
RACE = 0.15  # share of the steps that all starts take
CHECK = 10  # steps between looks at which images still gain
TOLERANCE = 1e-3  # an image whose loss fell by no more than this share since the last look is done
SETTLED = 3 / 4  # share of the steps after which that counts: the rate has fallen to a seventh
ALPHA = 20.0  # as --alpha, but larger than it, since the generator stands still


def starts(
    images: np.ndarray,
    train_images: np.ndarray | Rows,
    train_codes: np.ndarray,
    drawn: np.ndarray | None = None,
    hole: np.ndarray | None = None,
) -> np.ndarray:
    """Codes to start from, float32 [n, s, d]: the mean code, those of the nearest training images in pixels, and drawn.

    drawn: float32 [k, d], the same for all images. Pixels in the hole, bool [H, W, 1], are not compared.
    """
    near = train_codes[nearest(images, train_images, NEAREST, hole)[1]]
    mean = train_codes.mean(axis=0, keepdims=True)
    shared = mean if drawn is None else np.concatenate([mean, drawn])
    return np.concatenate([np.broadcast_to(shared, (len(images), *shared.shape)), near], axis=1).astype(np.float32)


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
) -> tuple[np.ndarray, np.ndarray]:
    """Fit codes to images uint8 [n, H, W, C] from starts float32 [n, s, d], in at most `steps` updates of each code.

    hole: bool [H, W, 1], pixels that are unknown in all images.
    An image whose loss has stopped falling is done, and the time goes to the others. Returns the best code met for
    each image, float32 [n, d], and its loss with the prior's share, float32 [n]. Deterministic.
    """
    descend = make_descent(model, loss if hole is None else _outside(hole, loss), projection, prior)
    n, s, d = starts.shape
    race = max(1, round(RACE * steps))
    winners, reached = np.empty((n, d), np.float32), np.empty(n, np.float32)
    with tqdm(total=n * steps, desc="fitting", unit="step", unit_scale=True, disable=None, leave=False) as bar:
        together = max(1, batch_size * (1 + NEAREST) // s)  # more starts take no more memory
        for first in range(0, n, together):
            batch = slice(first, first + together)
            raced = descend(begin(starts[batch].reshape(-1, d)), np.repeat(images[batch], s, axis=0), 0, race, race)
            losses = raced[-1].reshape(-1, s)
            best = np.argmin(losses, axis=1)
            winners[batch] = raced[-2].reshape(-1, s, d)[np.arange(len(best)), best]
            reached[batch] = losses.min(axis=1)
            bar.update(race * len(best))
        state, active = begin(winners), np.arange(n)
        state[-1][:] = reached  # what the race found stands, also where no steps are left after it
        for done in range(0, steps - race, CHECK):
            count, before = min(CHECK, steps - race - done), state[-1][active]
            for first in range(0, len(active), batch_size):
                rows = active[first : first + batch_size]
                moved = descend([values[rows] for values in state], images[rows], done, count, steps - race)
                for values, new in zip(state, moved, strict=True):
                    values[rows] = new
                bar.update(count * len(rows))
            falls = state[-1][active] < (1 - TOLERANCE) * before
            if done + count < SETTLED * (steps - race):
                continue  # at high rates a loss stands still because the code jumps about, not because it converged
            bar.total -= (steps - race - done - count) * int(np.sum(~falls))
            active = active[falls]
    return state[-2], state[-1]


def _outside(hole: np.ndarray, loss: Loss) -> Loss:
    known = (~hole).astype(np.float32)
    return lambda prediction, target: loss(known * prediction + (1 - known) * target, target)


def begin(codes: np.ndarray) -> list[np.ndarray]:
    """What a descent keeps of each image: its code, Adam's two moments, the best code so far, and that one's loss."""
    moments = np.zeros_like(codes), np.zeros_like(codes)
    return [codes, *moments, codes.copy(), np.full(len(codes), np.inf, np.float32)]


def make_descent(
    model: GloModel, loss: Loss, projection: str, prior: GaussianPrior | None = None
) -> Callable[[list[np.ndarray], np.ndarray, int, int, int], list[np.ndarray]]:
    """Compile (state, images uint8 [B, H, W, C], done, count, steps) -> the state after `count` more updates.

    state: see `begin`. Of the planned `steps`, over which the rate falls to 0, `done` have been taken before.
    """

    rows = tf.TensorSpec([None, model.dimension], tf.float32)
    pixels = tf.TensorSpec([None, *model.image_shape], tf.uint8)
    number = tf.TensorSpec([], tf.int32)

    @tf.function(input_signature=[[rows] * 4 + [tf.TensorSpec([None], tf.float32)], pixels, number, number, number])
    def descend(
        state: list[tf.Tensor], images: tf.Tensor, done: tf.Tensor, count: tf.Tensor, steps: tf.Tensor
    ) -> list[tf.Tensor]:
        codes, first, second, best, best_losses = state
        codes, target = project(codes, projection), normalize_pixels(images)
        for step in tf.range(done, done + count):
            with tf.GradientTape() as tape:
                tape.watch(codes)
                losses = loss(model.decode(codes), target)
                if prior is not None:
                    losses += prior(codes)
            better = losses < best_losses
            best, best_losses = tf.where(better[:, None], codes, best), tf.where(better, losses, best_losses)
            visits = tf.fill(tf.shape(losses), step + 1)
            move, first, second = adam(first, second, visits, tape.gradient(losses, codes))
            codes = project(codes - ALPHA * descent_factor(step, steps) * move, projection)
        return [codes, first, second, best, best_losses]

    def run(state: list[np.ndarray], images: np.ndarray, done: int, count: int, steps: int) -> list[np.ndarray]:
        return [values.numpy() for values in descend(state, images, done, count, steps)]

    return run
