"""What a worker makes of the sums over workers, against NumPy formulas."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf

from glo.model.batch_norm import BatchNormalization, synced_statistics
from glo.model.glo_model import GloModel
from glo.settings import TrainSettings
from glo.training.step import Gradients, reduce
from tests.support import samples


def test_gradients_are_those_of_the_mean_loss_and_statistics_are_averaged():
    """Of two workers with 3 and 5 images, which have divided their sums of losses by 16."""
    model = GloModel((8, 8, 1), samples(4, (8, 8, 1), 6)[1], TrainSettings(channels=4, film=2))
    random = np.random.default_rng(0)

    def drawn():
        return [
            [random.standard_normal(variable.shape).astype(np.float32) for variable in variables]
            for variables in (model.generator.trainable_variables, model.generator.non_trainable_variables)
        ]

    (gradients, statistics), (others, other_statistics) = drawn(), drawn()
    for variable, value in zip(model.generator.non_trainable_variables, statistics, strict=True):
        variable.assign(value)
    sent = np.concatenate([[5], *(16 * g.ravel() for g in others), *(5 * s.ravel() for s in other_statistics)])
    crew = SimpleNamespace(count=2, total=lambda values: values + sent.astype(np.float32))
    grads = Gradients([tf.constant(gradient) for gradient in gradients], tf.ones((3, 6)))
    result = reduce(model, grads, tf.constant(16.0), tf.constant(3.0), crew)
    assert result.codes is grads.codes
    for actual, a, b in zip(result.generator, gradients, others, strict=True):
        np.testing.assert_allclose(actual, 16 * (a + b) / 8, rtol=1e-5, atol=1e-6)
    for variable, a, b in zip(model.generator.non_trainable_variables, statistics, other_statistics, strict=True):
        np.testing.assert_allclose(variable, (3 * a + 5 * b) / 8, rtol=1e-5, atol=1e-6)
    codes_only = Gradients([], tf.ones((3, 6)))
    assert reduce(model, codes_only, tf.constant(16.0), tf.constant(3.0), crew) is codes_only


def test_synced_statistics_are_those_of_all_present_samples():
    """Here the other worker has 4 samples; one of the own 3 does not count."""
    random = np.random.default_rng(1)
    own, other = (random.normal(100, 2, (n, 5, 2)).astype(np.float32) for n in (3, 4))
    layer = BatchNormalization()
    layer.build((None, 5, 2))
    layer.moving_mean.assign([100, 100])
    about = other - 100
    sent = np.concatenate([[4], about.sum((0, 1)), np.square(about).sum((0, 1))]).astype(np.float32)
    model = SimpleNamespace(layers=[layer])
    with synced_statistics(model, lambda values: values + sent, tf.constant([1.0, 0.0, 1.0])):
        result = layer(own, training=True)
    counted = np.concatenate([own[[0, 2]], other]).reshape(-1, 2)
    expected = (own - counted.mean(axis=0)) / np.sqrt(counted.var(axis=0) + layer.epsilon)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(layer.moving_mean, 0.9 * 100 + 0.1 * counted.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(layer(own, training=True).numpy().mean(axis=(0, 1)), 0, atol=1e-3)  # of its own batch
