"""The generator as plain data: its layers in the order of computation, which `page/network.js` computes.

Nothing here depends on how a recipe puts layers together: `describe` follows the graph of the Keras model.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from glo.explorer.packing import pack
from glo.model.batch_norm import BatchNormalization
from glo.model.deconv import Convolution, Deconvolution
from glo.model.film import Modulation
from glo.model.generator import Projection

Description = dict[str, Any]


def describe(model: keras.Model, dtype: str) -> list[Description]:
    """List the layers of a model. Each has a name, a `kind`, the names of its inputs, its attributes and its weights.

    dtype: of matrices and kernels, `float16` or `float32`. Vectors (biases, normalisation) are always float32: they are
    few, and their errors would shift whole maps. Statistics of batch normalisation are merged into scale and shift.
    The last layer is the output. Raises `TypeError` for a layer that the page cannot compute.
    """
    names = {id(tensor): layer.name for layer in model.layers for tensor in _list(layer.output)}
    described = []
    for layer in model.layers:
        if type(layer) not in KINDS:
            raise TypeError(f"the explorer cannot compute the layer {layer.name} ({type(layer).__name__})")
        values = KINDS[type(layer)](layer)
        packed = {
            key: pack(value, dtype if value.ndim > 1 else "float32") if isinstance(value, np.ndarray) else value
            for key, value in values.items()
        }
        inputs = [] if isinstance(layer, layers.InputLayer) else [names[id(tensor)] for tensor in _list(layer.input)]
        described.append({"name": layer.name, "inputs": inputs, **packed})
    return described


def _list(tensors: Any) -> list[keras.KerasTensor]:
    return tensors if isinstance(tensors, list) else [tensors]


def _dense(layer: layers.Dense) -> Description:
    return {"kind": "dense", "matrix": _numpy(layer.kernel), **_bias(layer)}


def _affine(layer: BatchNormalization) -> Description:
    mean, variance, gamma, beta = (
        _numpy(array).astype(np.float64)
        for array in (layer.moving_mean, layer.moving_variance, layer.gamma, layer.beta)
    )
    scale = gamma / np.sqrt(variance + layer.epsilon)
    return {"kind": "affine", "scale": scale, "shift": beta - mean * scale}


def _convolution(layer: Convolution) -> Description:
    return {"kind": "convolution", "kernel": _numpy(layer.kernel), **_bias(layer)}


def _deconvolution(layer: Deconvolution) -> Description:
    return {"kind": "deconvolution", "kernel": _numpy(layer.kernel), **_bias(layer)}


def _crop(layer: layers.Cropping2D) -> Description:
    (top, _), (left, _) = layer.cropping
    return {"kind": "crop", "start": [top, left], "size": list(layer.output.shape[1:3])}


# What the page computes for each class of layers. A subclass may compute something else, so that it is not included.
KINDS: dict[type, Callable[[Any], Description]] = {
    layers.InputLayer: lambda layer: {"kind": "input", "size": layer.output.shape[1]},
    layers.Dense: _dense,
    Projection: _dense,
    layers.Reshape: lambda layer: {"kind": "reshape", "shape": list(layer.target_shape)},
    BatchNormalization: _affine,
    layers.LeakyReLU: lambda layer: {"kind": "leaky_relu", "slope": float(layer.negative_slope)},
    layers.Concatenate: lambda layer: {"kind": "concatenate"},
    Modulation: lambda layer: {"kind": "modulation"},
    layers.UpSampling2D: lambda layer: {"kind": "double"},
    Convolution: _convolution,
    Deconvolution: _deconvolution,
    layers.Activation: lambda layer: {"kind": layer.activation.__name__},
    layers.Cropping2D: _crop,
}


def _bias(layer: layers.Layer) -> Description:
    return {"bias": _numpy(layer.bias)} if layer.use_bias else {}


def _numpy(variable: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable)
