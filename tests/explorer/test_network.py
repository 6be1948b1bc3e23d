"""The described layers, computed in NumPy, give the images of the model."""

import base64

import keras
import numpy as np
import pytest

from glo.explorer.network import describe
from glo.explorer.packing import pack
from glo.model import generator
from glo.settings import TrainSettings

DTYPES = {"float16": "<f2", "float32": "<f4", "int32": "<i4"}


def unpack(packed):
    values = np.frombuffer(base64.b64decode(packed["base64"]), DTYPES[packed["dtype"]]).astype(np.float64)
    return values.reshape(packed["shape"]) * packed.get("scale", 1)


def doubled(x):
    """Bilinear doubling with half-pixel centres, by linear interpolation of each line."""
    for axis in (1, 2):
        n = x.shape[axis]
        places = np.clip((np.arange(2 * n) + 0.5) / 2 - 0.5, 0, n - 1)
        x = np.apply_along_axis(lambda line, n=n, places=places: np.interp(places, np.arange(n), line), axis, x)
    return x


def convolved(x, kernel):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def deconvolved(x, kernel):
    n, h, w, _ = x.shape
    y = np.zeros((n, 2 * h + 2, 2 * w + 2, kernel.shape[2]))
    for i in range(4):
        for j in range(4):
            y[:, i : i + 2 * h : 2, j : j + 2 * w : 2] += x @ kernel[i, j].T
    return y[:, 1:-1, 1:-1]


def modulated(x, film):
    gain, shift = np.split(film[:, None, None], 2, axis=-1)
    return x * (1 + gain) + shift


KINDS = {
    "dense": lambda layer, x: x @ layer["matrix"] + layer.get("bias", 0),
    "reshape": lambda layer, x: x.reshape(-1, *layer["shape"]),
    "affine": lambda layer, x: x * layer["scale"] + layer["shift"],
    "leaky_relu": lambda layer, x: np.where(x > 0, x, layer["slope"] * x),
    "tanh": lambda layer, x: np.tanh(x),
    "concatenate": lambda layer, *xs: np.concatenate(xs, axis=1),
    "convolution": lambda layer, x: convolved(x, layer["kernel"]) + layer.get("bias", 0),
    "deconvolution": lambda layer, x: deconvolved(x, layer["kernel"]) + layer.get("bias", 0),
    "double": lambda layer, x: doubled(x),
    "modulation": lambda layer, x, film: modulated(x, film),
    "crop": lambda layer, x: x[
        :, layer["start"][0] :, layer["start"][1] :
    ][:, : layer["size"][0], : layer["size"][1]],
}  # fmt: skip


def compute(layers, **inputs):
    values = dict(inputs)
    for layer in layers:
        if layer["kind"] != "input":
            arrays = {key: unpack(v) if isinstance(v, dict) else v for key, v in layer.items()}
            values[layer["name"]] = KINDS[layer["kind"]](arrays, *(values[name] for name in layer["inputs"]))
    return values[layers[-1]["name"]]


@pytest.mark.parametrize("shape", [(13, 10, 3), (4, 4, 1)])
@pytest.mark.parametrize("film", [0, 5])
@pytest.mark.parametrize("name", generator.UPSAMPLING)
def test_all_generators_are_described(name, film, shape):
    model = generator.build(shape, 6, TrainSettings(generator=name, film=film, channels=4))
    random = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(variable + random.uniform(0, 0.5, variable.shape))
    codes = random.standard_normal((9, 6)).astype(np.float32) / 2
    expected = model(codes, training=False).numpy()
    assert expected.std() > 0.05
    np.testing.assert_allclose(compute(describe(model, "float32"), code=codes), expected, atol=1e-5)
    assert np.abs(compute(describe(model, "float16"), code=codes) - expected).max() * 127.5 < 2


def test_a_second_input_is_one_more_layer():
    code, condition = keras.Input((3,), name="code"), keras.Input((2,), name="condition")
    embedded = keras.layers.Dense(4, use_bias=False, name="embedding")(condition)
    joined = keras.layers.Concatenate(name="joined")([code, embedded])
    model = keras.Model([code, condition], keras.layers.Dense(5, name="out")(joined))
    inputs = np.random.default_rng(0).standard_normal((2, 7, 3)).astype(np.float32)
    z, c = inputs[0], inputs[1][:, :2]
    described = describe(model, "float32")
    assert {layer["name"]: layer["size"] for layer in described if layer["kind"] == "input"} == {
        "code": 3,
        "condition": 2,
    }
    np.testing.assert_allclose(compute(described, code=z, condition=c), model([z, c]).numpy(), atol=1e-5)


def test_an_unknown_layer_is_named():
    code = keras.Input((3,), name="code")
    model = keras.Model(code, keras.layers.Softmax(name="odd")(code))
    with pytest.raises(TypeError, match="odd"):
        describe(model, "float32")


def test_packed_float16_keeps_large_and_small_arrays():
    for factor in (1e-9, 1.0, 1e9):
        values = factor * np.random.default_rng(0).standard_normal((4, 5))
        np.testing.assert_allclose(unpack(pack(values, "float16")), values, rtol=1e-3, atol=1e-4 * factor)
    assert (unpack(pack(np.zeros((2, 3)), "float16")) == np.zeros((2, 3))).all()
    assert unpack(pack(np.arange(3), "int32")).tolist() == [0, 1, 2]
