"""Directions of codes along which one attribute or label changes and the others stay as they are.

Attributes go together: most people with lipstick are not bald. The difference of the means of the codes with and
without one attribute therefore contains the effects of others. A ridge regression of whitened codes on all attributes
and labels at once,

    z = mean + sum over k of  attribute_k * effect_k + noise,

gives the effect of each one while the others are held fixed. Logistic regressions of each attribute on whitened codes,
multinomial for labels, score them, with weights w_k. The direction of attribute k is the move m that minimises

    |m - effect_k|^2  +  sum over j != k of  (m w_j / |w_j|)^2,

which is near the effect and hardly changes other scores. A label is to change the scores of the other labels, and
keeps those of attributes only. All distances are those of whitened codes.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from glo.data import labels as classes
from glo.data.dataset import Dataset
from glo.data.projection import project
from glo.data.randomness import Stream, permutation
from glo.samplers.whitening import Whitening
from glo.settings.evaluate import DIRECTIONS

FITTED = 20_000  # codes to which the regressions are fitted, at most
HELD_OUT = 0.2  # share of these codes by whose likelihood the penalty of a logistic regression is chosen
INVERSE_PENALTIES = (1e-3, 1e-2, 1e-1)  # of the logistic regressions, `C` of scikit-learn
PENALTIES = (1.0, 10.0, 100.0, 1000.0)  # of the ridge regression, chosen by leave-one-out errors

# Of the angle between move and weights, for lengths. It is smaller for attributes that are almost those of others.
MIN_COSINE = 0.2


@dataclass(frozen=True)
class Directions:
    """Linear scores of k attributes and labels, and what strength 1 adds to a code.

    keys: of attributes and labels, see `ImageClass`. labels: how many are labels, which exclude each other; they come
        first.
    weights: float64 [k, d]. intercepts: float64 [k]. The scores of codes z are weights z + intercepts.
    conditional: float32 [k, d], the moves above, of lengths that change the attribute's own score by the distance
        between the class means.
    difference: float32 [k, d], the differences between the class means.
    middles: float64 [k], the projections of the middle of both class means on `difference`.
    """

    keys: tuple[str, ...]
    labels: int
    weights: np.ndarray
    intercepts: np.ndarray
    conditional: np.ndarray
    difference: np.ndarray
    middles: np.ndarray

    def move(
        self, codes: np.ndarray, key: str, strength: float, projection: str, direction: str = "conditional"
    ) -> np.ndarray:
        """Move codes float32 [n, d] and project them: float32 [n, d].

        direction: one of `DIRECTIONS`; raises `ValueError` for any other.
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, not {direction!r}")
        steps = {"conditional": self.conditional, "difference": self.difference}[direction]
        return project((codes + strength * steps[self.keys.index(key)]).astype(np.float32), projection)

    def scores(self, codes: np.ndarray) -> np.ndarray:
        """Scores float64 [n, k] of codes float32 [n, d]."""
        return codes @ self.weights.T + self.intercepts

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Which attributes and labels the regressions predict for codes float32 [n, d]: bool [n, k]."""
        scores = self.scores(codes)
        predicted = scores > 0
        if self.labels:
            predicted[:, : self.labels] = scores[:, : self.labels].argmax(axis=1)[:, None] == np.arange(self.labels)
        return predicted

    def predict_by_means(self, codes: np.ndarray) -> np.ndarray:
        """Which of both class means is nearer to codes float32 [n, d], for each attribute and label: bool [n, k]."""
        return codes @ self.difference.T.astype(np.float64) > self.middles


def of(dataset: Dataset, codes: np.ndarray, seed: int = 0) -> Directions:
    """Fit the directions of all `contrasts` of a dataset to the codes of its training images, float32 [n, d]."""
    known = classes.contrasts(dataset, "directions")
    members = np.stack([each.members[dataset.train_rows] for each in known], axis=1)
    keys = [each.key for each in known]
    return fit(codes, members, keys, sum(key.startswith("label") for key in keys), seed)


def fit(codes: np.ndarray, members: np.ndarray, keys: Sequence[str], labels: int = 0, seed: int = 0) -> Directions:
    """Fit directions to codes float32 [n, d].

    members: bool [n, k], whether a code has a label or an attribute; both values occur in each column. keys: of the
    columns. labels: how many columns are labels; they come first. seed: of the choice of `FITTED` codes, and of those
    that are held out to choose penalties.
    """
    labels = labels if labels > 1 else 0  # a single label is told from all other images, like an attribute
    whitening = Whitening.fit(codes)
    difference = np.stack([codes[has].mean(axis=0) - codes[~has].mean(axis=0) for has in members.T], dtype=np.float64)
    middles = np.stack([codes[has].mean(axis=0) + codes[~has].mean(axis=0) for has in members.T], dtype=np.float64) / 2
    chosen = permutation(len(codes), seed, Stream.DIRECTION_CODES)[:FITTED]
    white = whitening.apply(codes[chosen])
    weights, intercepts = _classifiers(white, members[chosen], labels)
    effects = RidgeCV(PENALTIES).fit(members[chosen].astype(np.float64), white).coef_.T
    white_difference = np.linalg.solve(whitening.root, difference.T).T
    moves = _moves(effects, weights, labels)
    least = MIN_COSINE * np.linalg.norm(weights, axis=1) * np.linalg.norm(moves, axis=1)
    scale = np.sum(weights * white_difference, axis=1) / np.maximum(np.sum(weights * moves, axis=1), least)
    code_weights = np.linalg.solve(whitening.root, weights.T).T
    return Directions(
        tuple(keys),
        labels,
        code_weights,
        intercepts - code_weights @ whitening.mean,
        (scale[:, None] * moves @ whitening.root).astype(np.float32),
        difference.astype(np.float32),
        np.sum(difference * middles, axis=1),
    )


def _moves(effects: np.ndarray, weights: np.ndarray, labels: int) -> np.ndarray:
    """The moves of the formula above, float64 [k, d], from effects and weights of whitened codes, float64 [k, d]."""
    units = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    moves = []
    for number, effect in enumerate(effects):
        others = units[labels:] if number < labels else np.delete(units, number, axis=0)
        moves.append(np.linalg.solve(np.eye(len(effect)) + others.T @ others, effect))
    return np.stack(moves)


def _classifiers(white: np.ndarray, members: np.ndarray, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights float64 [k, d] and intercepts [k] of the scores of whitened codes float32 [n, d]."""
    parts = []
    if labels:
        labelled = members[:, :labels].any(axis=1)
        weights, intercepts = _classifier(white[labelled], members[labelled, :labels].argmax(axis=1))
        if labels == 2:  # a single score, of the second label
            weights, intercepts = (np.concatenate([-values, values]) / 2 for values in (weights, intercepts))
        # Softmax ignores what all scores share, and so must lengths.
        parts.append((weights - weights.mean(axis=0), intercepts - intercepts.mean()))
    parts += [_classifier(white, has) for has in members[:, labels:].T]
    weights, intercepts = zip(*parts, strict=True)
    return np.concatenate(weights, dtype=np.float64), np.concatenate(intercepts, dtype=np.float64)


def _classifier(white: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and intercepts of a logistic regression, with all classes weighted alike; multinomial for more than two.

    The penalty is chosen by the log loss of held-out codes. The codes are in random order.
    """
    count = round(HELD_OUT * len(white))
    held_out, rest = slice(count), slice(count, None)
    sample_weights = compute_sample_weight("balanced", targets)

    def loss(inverse_penalty: float) -> float:
        model = _logistic(inverse_penalty, white[rest], targets[rest])
        predicted = model.predict_proba(white[held_out])
        return log_loss(targets[held_out], predicted, sample_weight=sample_weights[held_out], labels=model.classes_)

    best = _logistic(min(INVERSE_PENALTIES, key=loss), white, targets)
    return best.coef_, best.intercept_


def _logistic(inverse_penalty: float, white: np.ndarray, targets: np.ndarray) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near the minimum, which the penalty makes unique
        return LogisticRegression(C=inverse_penalty, class_weight="balanced", max_iter=200).fit(white, targets)
