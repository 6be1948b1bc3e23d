"""Training in bfloat16, and the choice between float32 and bfloat16."""

import numpy as np
import pytest
import tensorflow as tf

from glo.model import generator, precision
from glo.model.glo_model import GloModel
from glo.model.losses import build as build_loss
from glo.runtime import device
from glo.settings import TrainSettings
from glo.training.step import make_step
from tests.support import samples

SMALL = TrainSettings(channels=16, precision="auto")


@pytest.mark.parametrize("kind", ["deconv", "resize_conv"])
def test_hidden_maps_are_bfloat16_and_images_float32(kind):
    model = generator.build((8, 8, 1), 5, TrainSettings(generator=kind, channels=16))
    codes = tf.constant(np.random.default_rng(0).standard_normal((4, 5)), tf.float32)
    before = model(codes, training=False)
    with precision.computing_in(model, "bfloat16"):
        assert model.get_layer("up0").compute_dtype == "bfloat16"
        assert model.get_layer("norm").compute_dtype == "float32"
        rounded = model(codes, training=False)
    assert rounded.dtype == tf.float32
    assert 0 < np.abs(rounded - before).max() < 0.02
    np.testing.assert_array_equal(model(codes, training=False), before)
    assert all(weight.dtype == "float32" for weight in model.weights)


def test_film_computes_in_float32_under_every_name():
    """In bfloat16, 1 + gain would be rounded to 8 bits."""
    model = generator.build((8, 8, 1), 5, TrainSettings(film=4, channels=16, blocks=2))
    with precision.computing_in(model, "bfloat16"):
        dtypes = {layer.name: layer.compute_dtype for layer in model.layers}
    assert {name for name in dtypes if "film" in name} >= {"map_film", "up0_film", "up1_film", "film_up0", "film_norm"}
    assert {dtype for name, dtype in dtypes.items() if "film" in name} == {"float32"}
    assert {dtypes[name] for name in ("project", "map_relu", "up0", "up0_relu", "up1")} == {"bfloat16"}


@pytest.mark.parametrize(
    ("kind", "update", "film"), [("deconv", "joint", 4), ("deconv", "alternate", 0), ("resize_conv", "joint", 0)]
)
def test_a_step_in_bfloat16_is_nearly_the_step_in_float32(kind, update, film):
    images, codes = samples(16, (8, 8, 3), 6)
    updates = {}
    for name in precision.POLICIES:
        settings = TrainSettings(
            precision=name, generator=kind, update=update, film=film, channels=16, generator_optimizer="sgd",
            learning_rate=0.1,
        )  # fmt: skip
        model = GloModel((8, 8, 3), codes, settings)
        before = [w.numpy() for w in model.generator.trainable_variables]
        losses = make_step(model, build_loss(settings.loss), settings, learned=10)(np.arange(16), images)
        assert losses.dtype == tf.float32
        after = [w.numpy() for w in model.generator.trainable_variables]
        updates[name] = np.concatenate([(b - a).ravel() for a, b in zip(before, after, strict=True)])
    exact, rounded = updates["float32"], updates["bfloat16"]
    assert 0 < np.linalg.norm(rounded - exact) < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize(
    ("native", "speed", "chosen"), [(True, 1.5, "bfloat16"), (True, 1.05, "float32"), (False, 9, "float32")]
)
def test_auto_chooses_the_faster_precision(monkeypatch, native, speed, chosen):
    monkeypatch.setattr(device, "has_bfloat16", lambda: native)
    monkeypatch.setattr(precision, "measure", lambda *_: {"float32": 100.0, "bfloat16": 100 * speed})
    assert precision.decide(SMALL, (8, 8, 1), 4, 100).precision == chosen


def test_measuring_leaves_the_global_random_state_unchanged():
    state = np.random.get_state()[1].copy()
    speed = precision.measure(SMALL, (8, 8, 1), 4, 2)
    assert speed.keys() == precision.POLICIES.keys()
    assert min(speed.values()) > 0
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_emulated_bfloat16_is_warned_about_once(monkeypatch, caplog):
    monkeypatch.setattr(device, "has_bfloat16", lambda: False)
    settings = TrainSettings(precision="bfloat16")
    assert precision.decide(settings, (8, 8, 1), 4, 100) == settings
    assert len(caplog.records) == 1
