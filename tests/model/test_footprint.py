"""Estimates of memory: against the variables of a real model, and refusals that name the flag to lower."""

import pytest

from glo.data.conditions import blank
from glo.model import footprint
from glo.model.codes import unset
from glo.model.glo_model import GloModel
from glo.runtime import memory
from glo.runtime.errors import UserError
from glo.settings import EvalSettings, TrainSettings

SHAPE, DIMENSION, N = (28, 28, 1), 128, 60_000


@pytest.fixture(autouse=True)
def eight_gigabytes(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 8 << 30)


def bytes_of(variables):
    return sum(variable.dtype.size * variable.shape.num_elements() for variable in variables)


@pytest.mark.parametrize("options", [{}, {"code_optimizer": "sgd", "generator_optimizer": "sgd"}, {"film": 16}])
@pytest.mark.parametrize("classes", [0, 1000])
def test_estimates_are_close_to_the_variables_of_a_model(options, classes):
    settings = TrainSettings(channels=8, **options)
    codes, network, _ = footprint.training(settings, SHAPE, DIMENSION, 500, classes)
    names = tuple(map(str, range(classes)))
    model = GloModel(SHAPE, unset(500, DIMENSION), settings, blank(names, tuple(range(classes)), 500))
    table = bytes_of(model.table.variables)
    assert table <= codes.size <= 1.1 * table
    kept = 4 * sum(v.value.shape.num_elements() for v in [*model.generator.variables, *model.optimizer.variables])
    gradient = 4 * model.generator.count_params()
    assert network.size == pytest.approx(kept + gradient, rel=0.01)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"augment_to": 10**9}, "--augment_to"),
        ({"channels": 4096, "max_channels": 8192, "blocks": 5}, "--channels, --max_channels or --dimension"),
        ({"film": 65536, "channels": 2048, "max_channels": 4096}, "--film"),
        ({"batch_size": 10**9, "channels": 128}, "--batch_size"),
    ],
)
def test_training_that_does_not_fit_is_refused(options, flag):
    parts = footprint.training(TrainSettings(**options), SHAPE, DIMENSION, N)
    with pytest.raises(UserError, match=rf"training would take .* GB are free: lower {flag}$") as caught:
        footprint.require(parts, "training", gpu=False)
    assert len(str(caught.value)) < 200
    if flag != "--augment_to":
        footprint.require(parts, "training", gpu=True)


def test_maps_of_the_loss_are_counted():
    def parts(loss):
        return {part.name: part.size for part in footprint.training(TrainSettings(loss=loss), SHAPE, DIMENSION, N)}

    assert "the maps of the loss" not in parts("lap_l1")
    maps = (28 * 28 * 64 + 14 * 14 * 128) * 2 + 7 * 7 * 256 * 3
    assert parts("mse+perceptual(network=vgg16)")["the maps of the loss"] == 128 * 2 * 4 * maps
    maps = 28 * 28 * 16 + 14 * 14 * 32 + 7 * 7 * 64 + 4 * 4 * 128
    assert parts("perceptual")["the maps of the loss"] == 128 * 2 * 4 * maps


def test_training_an_encoder_that_does_not_fit_is_refused():
    """Its run may have been trained elsewhere. Its settings cannot be changed, so that no flag helps."""
    settings = TrainSettings(channels=8, batch_size=4)
    footprint.require(footprint.encoder(settings, SHAPE, DIMENSION, N), "the encoder", gpu=False)
    for shape, dimension, name in [((64, 16384, 3), 64, "the encoder with its"), (SHAPE, 32_000, "codes with")]:
        parts = footprint.encoder(settings, shape, dimension, N)
        with pytest.raises(UserError, match=f"the encoder would take .* {name}.* free: use a larger machine$"):
            footprint.require(parts, "the encoder", gpu=False)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"num_samples": 10**9}, "--num_samples"),
        ({"draws": 1000, "num_fit": 100_000}, "--draws"),
        ({"components": 10_000}, "--components"),
        ({"batch_size": 10**9}, "--batch_size"),
    ],
)
def test_evaluations_that_do_not_fit_are_refused(options, flag):
    settings, trained, tasks = EvalSettings(**options), TrainSettings(channels=128), {"generate", "reconstruct"}
    dimension = 256 if "components" in options else DIMENSION
    fitted = min(settings.most_fitted(SHAPE), 10_000)
    parts = footprint.evaluation(settings, trained, SHAPE, dimension, N, fitted, tasks)
    with pytest.raises(UserError, match=f"lower {flag}$"):
        footprint.require(parts, "this evaluation", gpu=False)


def test_fits_under_every_class_have_more_starts():
    settings, trained, tasks = EvalSettings(), TrainSettings(channels=8), {"restore"}
    starts = [
        {part.name: part.size for part in footprint.evaluation(settings, trained, SHAPE, 8, N, 100, tasks, c)}
        for c in (1, 10)
    ]
    assert starts[1]["starts of fitting"] == 5 * starts[0]["starts of fitting"]  # 20 and 4


def test_usual_evaluations_and_large_numbers_that_the_data_bounds_are_accepted():
    for settings, n in ((EvalSettings(), 200_000), (EvalSettings(batch_size=10**9, num_fit=10**9), 32)):
        tasks = {"generate", "reconstruct", "metrics"}
        parts = footprint.evaluation(settings, TrainSettings(components=1600), SHAPE, 64, n, min(n, 1000), tasks)
        footprint.require(parts, "this evaluation", gpu=False)
    footprint.require(footprint.training(TrainSettings(batch_size=10**9), SHAPE, DIMENSION, 32), "training", gpu=False)
