"""The steps of methods other than GLO, against computations by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from glo.model import discriminator, encoder
from glo.model.glo_model import normalize_pixels
from glo.settings import TrainSettings, fields, methods
from glo.settings.fields import FLAGS, Layer
from glo.training import methods as training_methods
from glo.training import resume
from glo.training.budget import SHARE, affordable, affordable_updates, channels_for
from glo.training.methods import autoencoder, gan, vae
from glo.training.resume import Plan
from glo.training.state import prepare
from tests.support import load, samples, write_flat

N, SHAPE, D = 24, (8, 8, 1), 3


def prepared(tmp_path, method, **changes):
    """Training of a new run on N images, with the settings of a method."""
    images, codes = samples(N + 6, SHAPE, D)
    split = (np.arange(N + 6) >= N).astype(np.uint8)
    write_flat(tmp_path / "TOY", images, codes, split=split, label=np.arange(N + 6, dtype=np.int32) % 2)
    flags = {"dataset": "TOY", "data_dir": str(tmp_path), "method": method, "batch_size": 8, "loss": "mse", **changes}
    if method != "pca":
        flags["channels"] = 4
    settings = methods.resolve(Layer("recipe", {}), Layer(FLAGS, flags))
    dataset = load(tmp_path, "TOY", **{k: v for k, v in dataclasses.asdict(settings).items()
                                       if k not in ("dataset", "data_dir")})  # fmt: skip
    return prepare(settings, dataset, Plan(settings))


def learn(training, epochs):
    """Take all steps of some epochs, then those that find the codes."""
    steps = epochs * training.steps_per_epoch
    learn, refine = training_methods.make_steps(training, steps)
    batches, losses = training.batches(0, steps), []
    for _ in range(steps):
        losses.append(float(np.mean(learn(*next(batches))["loss"])))
    for _ in range(-(-len(training.originals) // training.settings.batch_size)):
        refine(*next(batches))
    return losses


def pixels(training):
    """The training images as float64 [n, D] in [-1, 1]."""
    return normalize_pixels(training.originals[:]).numpy().reshape(N, -1).astype(np.float64)


def test_pca_finds_the_subspace_of_the_least_squared_error(tmp_path):
    training = prepared(tmp_path, "pca")
    learn(training, 8)
    x = pixels(training)
    _, values, axes = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    codes = training.model.table.codes.numpy()
    scores = (x - x.mean(axis=0)) @ axes[:D].T
    total = np.sqrt(np.sum(values[:D] ** 2) / N)
    np.testing.assert_allclose(np.abs(codes), np.abs(scores) / total, atol=2e-3)  # the sign of an axis is arbitrary
    expected = np.clip(x.mean(axis=0) + scores @ axes[:D], -1, 1)
    np.testing.assert_allclose(training.model.decode(codes).numpy().reshape(N, -1), expected, atol=5e-3)
    assert np.mean(np.sum(codes**2, axis=1)) == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("method", ["autoencoder", "vae"])
def test_codes_are_those_of_the_encoder(tmp_path, method):
    training = prepared(tmp_path, method)
    losses = learn(training, 15)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    model = training.model
    outputs = model.companion(normalize_pixels(training.originals[:])).numpy()
    np.testing.assert_allclose(model.table.codes, outputs[:, :D], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(training.codes_of_all(np.arange(N)), outputs[:, :D], rtol=1e-4, atol=1e-5)


def test_kl_of_normal_distributions():
    assert vae.kl(tf.zeros((2, D)), tf.zeros((2, D))).numpy() == pytest.approx([0, 0])
    # One dimension with mean 2 and variance 1/4: (4 + 1/4 - log(1/4) - 1) / 2 nats.
    expected = (4 + 0.25 - np.log(0.25) - 1) / 2
    assert vae.kl(tf.constant([[2.0]]), tf.math.log([[0.25]])).numpy() == pytest.approx([expected])


def test_the_weight_of_the_divergence_draws_codes_to_the_prior(tmp_path):
    divergences = []
    for beta in (0.0, 1000.0):
        training = prepared(tmp_path, "vae", beta=beta)
        learn(training, 15)
        losses, _, _ = vae.gradients(training, training.originals[:], tf.zeros((N, 0)))
        divergences.append(float(np.mean(losses["kl"])))
    assert divergences[1] < 0.5 * divergences[0]


def test_the_gradient_penalty_of_an_autoencoder(tmp_path):
    """Averaged over directions, its gradient is that of the squared Jacobian, by finite differences of one weight."""
    training = prepared(tmp_path, "autoencoder", gradient_penalty=1.0)
    images, model = training.originals[:4], training.model
    plain = dataclasses.replace(training, settings=dataclasses.replace(training.settings, gradient_penalty=0.0))

    def compiled(of):
        return tf.function(lambda: autoencoder.gradients(of, images, tf.zeros((4, 0)))[2].generator[0])

    total, without = compiled(training), compiled(plain)
    draws = []
    for step in range(100):
        model.step.assign(step)
        draws.append(total() - without())
    average = np.mean(draws, axis=0)
    codes = encoder.predict(model.companion, normalize_pixels(images), tf.zeros((4, 0)), training=True)
    kernel, direction = model.generator.trainable_variables[0], average / np.linalg.norm(average)

    @tf.function
    def penalty():
        with tf.GradientTape() as tape:
            tape.watch(codes)
            generated = tf.reshape(model.decode(codes, training=True), [-1])
        return tf.reduce_sum(tf.square(tape.jacobian(generated, codes))) / 4

    values, before, step = [], kernel.numpy(), 1e-2
    for sign in (1, -1):
        kernel.assign(before + sign * step * direction)
        values.append(float(penalty()))
    slope = (values[0] - values[1]) / (2 * step)
    assert np.sum(average * direction) == pytest.approx(slope, rel=0.25)
    assert slope > 0


def test_the_gradients_of_a_gan(tmp_path):
    """By formulas: -log of sigmoid for the generator, and R1 for the discriminator."""
    training = prepared(tmp_path, "gan", gradient_penalty=3.0)
    model, condition = training.model, tf.zeros((8, 0))
    codes, images = tf.random.stateless_normal((8, D), (0, 1)), training.originals[:8]
    losses, grads = gan.gradients(training, codes, images, condition)
    real, network = normalize_pixels(images), model.companion
    with tf.GradientTape(persistent=True) as tape:
        generated = model.decode(codes, training=True)
        of_generated, of_real = (discriminator.logits(network, x, condition) for x in (generated, real))
        with tf.GradientTape() as inner:
            inner.watch(real)
            logits = discriminator.logits(network, real, condition)
        slope = tf.reshape(inner.gradient(logits, real), [8, -1])
        generator_loss = -tf.reduce_mean(tf.math.log(tf.sigmoid(of_generated)))
        loss = -tf.reduce_mean(tf.math.log(tf.sigmoid(of_real)) + tf.math.log(1 - tf.sigmoid(of_generated)))
        total = loss + 1.5 * tf.reduce_mean(tf.reduce_sum(tf.square(slope), axis=1))
    assert np.mean(losses["loss"]) == pytest.approx(float(generator_loss), rel=1e-3)
    assert np.mean(losses["discriminator_loss"]) == pytest.approx(float(loss), rel=1e-3)
    right = np.mean(np.concatenate([of_real.numpy() > 0, of_generated.numpy() < 0]))
    assert np.mean(losses["discriminator_accuracy"]) == pytest.approx(right)
    expected = tape.gradient(generator_loss, model.generator.trainable_variables)
    for ours, theirs in zip(grads.generator, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-2, atol=1e-4)
    expected = tape.gradient(total, network.trainable_variables)
    for ours, theirs in zip(grads.companion, expected, strict=True):
        np.testing.assert_allclose(ours, 0 if theirs is None else theirs, rtol=2e-2, atol=1e-4)


def test_a_gan_learns_from_all_images_and_is_inverted_to_some(tmp_path, monkeypatch):
    monkeypatch.setattr("glo.data.dataset.CODED", 10)
    monkeypatch.setattr(gan, "UPDATES", 30)
    training = prepared(tmp_path, "gan", conditional="label")
    assert len(training.images) == N
    assert len(training.originals) == training.model.table.codes.shape[0] == 10
    assert training.steps_per_epoch == 3
    before = training.model.table.codes.numpy()
    steps = learn(training, 2)
    assert len(steps) == 6
    codes, model = training.model.table.codes.numpy(), training.model
    conditions = training.conditions(np.arange(10))
    errors = [
        np.mean(np.square(model.decode(z, conditions) - normalize_pixels(training.originals[:])))
        for z in (before, codes)
    ]
    assert errors[1] < errors[0]


def test_the_steps_of_a_gan_print_no_error_and_change_no_option_of_the_process(tmp_path, capfd):
    training = prepared(tmp_path, "gan", conditional="label")
    training_methods.make_steps(training, 1).learn(*next(training.batches(0, 1)))
    assert "remapping" not in tf.config.optimizer.get_experimental_options()
    assert "remapper failed" not in capfd.readouterr().err


def test_conditional_methods_learn(tmp_path):
    for method in ("autoencoder", "vae"):
        losses = learn(prepared(tmp_path, method, conditional="label"), 6)
        assert np.mean(losses[-3:]) < np.mean(losses[:3])


def resolved(recipe, **flags):
    return methods.resolve(Layer("mine.yaml", recipe), Layer(FLAGS, flags))


def test_defaults_of_a_method_override_a_recipe_for_glo_and_flags_override_both():
    recipe = {"alpha": 3.0, "temperature": 0.85, "components": 1200, "refine_steps": 12, "epochs": 20, "channels": 48}
    settings = resolved(recipe, method="vae")
    assert (settings.projection, settings.sampler, settings.temperature) == ("none", "unit", 1.0)
    assert (settings.alpha, settings.refine_steps, settings.components) == (5.0, 0, None)
    assert (settings.epochs, settings.channels) == (20, 48)
    assert resolved(recipe, method="vae", sampler="gmm", components=9).components == 9
    assert resolved({"method": "vae", "temperature": 0.9}).temperature == 0.9
    assert resolved(recipe).alpha == 3.0


@pytest.mark.parametrize(
    ("recipe", "flags", "message"),
    [
        ({}, {"method": "vae", "alpha": 3}, "--alpha has no effect with --method vae"),
        ({}, {"beta": 3}, "--beta has no effect with --method glo"),
        ({}, {"method": "pca", "conditional": "label"}, "--conditional has no effect with --method pca"),
        ({"method": "gan", "augment_to": 9}, {}, "mine.yaml: augment_to has no effect with --method gan"),
        ({}, {"method": "gann"}, "--method must be one of .* did you mean gan"),
        ({}, {"minutes": 1, "epochs": 2}, "--minutes and --epochs both determine"),
        ({"minutes": 1, "epochs": 2}, {}, "mine.yaml: minutes and epochs both determine"),
        ({}, {"minutes": 0}, "--minutes must be greater than 0"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(recipe, flags, message):
    with pytest.raises(fields.UserError, match=message):
        resolved(recipe, **flags)


def test_minutes_and_epochs_override_each_other():
    assert resolved({"epochs": 20}, minutes=3).epochs is None
    assert resolved({"minutes": 3}, epochs=20).minutes is None


def test_every_method_has_settings_and_steps():
    assert list(training_methods.METHODS) == list(methods.DEFAULTS) == list(methods.UNUSED)
    for name in training_methods.METHODS:
        assert not set(methods.UNUSED[name]) & (set(methods.DEFAULTS[name]) - {"projection", "code_optimizer"})


@pytest.mark.parametrize(
    ("seconds", "epoch", "refinement", "epochs"), [(100, 10, 15, 8), (100, 10, 0, 9), (5, 10, 0, 1)]
)
def test_the_epochs_of_a_budget(seconds, epoch, refinement, epochs):
    assert SHARE == 0.95
    assert affordable(seconds, epoch, refinement) == epochs


@pytest.mark.parametrize(
    ("ratio", "shape", "channels"),
    [(1, (28, 28, 1), 48), (1, (8, 8, 1), 96), (1, (32, 32, 3), 80), (1, (64, 64, 3), 32), (1, (512, 256, 3), 16),
     (0.3, (32, 32, 3), 48), (8, (32, 32, 3), 160), (1000, (32, 32, 3), 160), (0.001, (32, 32, 3), 32)],
)  # fmt: skip
def test_the_channels_of_a_budget(ratio, shape, channels):
    assert channels_for(ratio, shape, TrainSettings()) == channels


@pytest.mark.parametrize(
    ("n", "side", "copies", "epochs"),
    [(60_000, 28, 0, 20), (50_000, 32, 0, 21), (8000, 64, 40_000, 13), (10**6, 64, 0, 12), (5000, 8, 0, 150)],
)
def test_the_usual_number_of_epochs(n, side, copies, epochs):
    settings = TrainSettings(augment_to=copies, batch_size=100)
    data = SimpleNamespace(train_rows=range(n), seen_rows=range(n), image_shape=(side, side, 3))
    assert resume.length(settings, data).learned == epochs * max(n, copies) // 100
    few = SimpleNamespace(train_rows=range(50), seen_rows=range(50), image_shape=(side, side, 3))
    assert resume.length(TrainSettings(batch_size=100), few).learned == 4000


@pytest.mark.parametrize(
    ("given", "seconds", "refinement", "updates"), [(12, 120, 30, 12), (12, 120, 120, 4), (12, 1, 500, 1), (0, 1, 9, 0)]
)
def test_refinement_takes_a_third_of_a_budget(given, seconds, refinement, updates):
    assert affordable_updates(given, seconds, refinement) == updates


def test_the_last_steps_find_codes_with_every_method(tmp_path):
    """Methods that compute codes visit every image once more; GLO does so only with refinement."""
    training = prepared(tmp_path, "vae", epochs=2)
    assert resume.length(training.settings, training.dataset) == (6, 9, 9)
    settings = TrainSettings(epochs=2, batch_size=8)
    assert resume.length(settings, training.dataset) == (6, 6, 6)
