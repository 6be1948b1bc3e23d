"""The numbers of parameters and the sizes of maps that are computed without TensorFlow, against Keras' own."""

import pytest
import yaml

from glo.model import encoder, footprint, generator, geometry
from glo.runtime import memory, paths
from glo.runtime.errors import UserError
from glo.settings import TrainSettings, fields

SHAPES = {"default": (128, 128, 3), "digits": (8, 8, 1)}  # all others have 28x28x1
CONFIGS = sorted(path.stem for path in paths.CONFIG_FOLDER.glob("*.yaml"))
LARGEST = 202_599  # images of CELEBA, the largest dataset that configs name with a known size


@pytest.mark.parametrize("options", [{}, {"blocks": 0}, {"blocks": 3}, {"channels": 7}])
def test_resolved_settings_do_not_depend_on_the_defaults(options, monkeypatch):
    shape, settings = (28, 28, 1), TrainSettings(**options)
    stored = geometry.resolved(shape, settings)
    maps = geometry.maps(shape, settings)
    assert geometry.maps(shape, stored) == maps
    monkeypatch.setattr(geometry, "COARSE_SIDE", 1)
    monkeypatch.setattr(geometry, "GREY_CHANNELS", 512)
    assert geometry.maps(shape, settings) != maps
    assert geometry.maps(shape, stored) == maps


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"blocks": 0},
        {"blocks": 0, "generator": "resize_conv", "film": 5},
        {"blocks": 4, "channels": 6, "max_channels": 20},
        {"generator": "resize_conv", "film": 7},
        {"film": 9, "blocks": 1},
    ],
)
@pytest.mark.parametrize("shape", [(8, 8, 1), (13, 20, 3)])
@pytest.mark.parametrize("condition_size", [0, 3])
def test_parameters_and_maps_equal_those_of_the_keras_model(shape, options, condition_size):
    settings = TrainSettings(**{"channels": 4, **options})
    network = generator.build(shape, 5, settings, condition_size)
    plain, film = geometry.parameters(shape, 5, settings, condition_size)
    assert plain + film == network.count_params()
    assert bool(settings.film) == bool(film)
    first, *_, last = geometry.maps(shape, settings)
    assert network.get_layer("map").output.shape[1:] == first
    assert network.get_layer("tanh").output.shape[1:] == last


@pytest.mark.parametrize("name", CONFIGS)
def test_shipped_configs_fit_in_four_gigabytes_at_full_size(name, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 4 << 30)
    settings = fields.resolve(TrainSettings, fields.read_yaml(paths.CONFIG_FOLDER / f"{name}.yaml"))
    shape = SHAPES.get(name, (28, 28, 1))
    dimension = settings.dimension or (256 if name == "default" else 128)
    footprint.require(footprint.training(settings, shape, dimension, LARGEST), "training", gpu=False)
    geometry.check_blocks(shape, settings)
    assert yaml.safe_load((paths.CONFIG_FOLDER / f"{name}.yaml").read_text())


@pytest.mark.parametrize(("shape", "most"), [((8, 8, 1), 3), ((28, 28, 1), 5), ((64, 64, 3), 6), ((5, 20, 3), 5)])
def test_blocks_are_limited_by_the_image(shape, most):
    geometry.check_blocks(shape, TrainSettings(blocks=most))
    assert geometry.maps(shape, TrainSettings(blocks=most))[0][:2] == (1, 1)
    with pytest.raises(UserError, match=f"give --blocks {most} or less"):
        geometry.check_blocks(shape, TrainSettings(blocks=most + 1))


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 31, 3), (1, 1, 1), (64, 48, 3)])
@pytest.mark.parametrize("condition_size", [0, 3])
def test_parameters_and_maps_of_the_encoder_equal_those_of_the_keras_model(shape, condition_size):
    network = encoder.build(shape, 6, 0, condition_size)
    assert geometry.encoder_parameters(shape, 6, condition_size) == network.count_params()
    shapes = {layer.output.shape[1:] for layer in network.layers if len(layer.output.shape) == 4}
    assert shapes == set(geometry.encoder_maps(shape))
