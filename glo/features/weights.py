"""Weights of networks as plain arrays, read from files that may be damaged or malicious: no pickle, code or links."""

import contextlib
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from glo.data import safe_hdf5, safe_npz
from glo.runtime import files
from glo.runtime.errors import UserError
from glo.settings.loss_expression import Network

ABOUT = "about"  # name of the JSON text in an .npz file
MEMBER_SLACK = 4096  # bytes allowed for the header of an array, or for the JSON text


def sha256(weights: Sequence[np.ndarray]) -> str:
    """SHA-256, as hexadecimal text, of the shapes and float32 values of all arrays in order."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(f"{array.shape}".encode())
        digest.update(np.ascontiguousarray(array, "<f4").data)
    return digest.hexdigest()


def verify(path: Path, expected: str | None, label: str, setting: str) -> None:
    """Raise `UserError` unless the file exists and has the expected SHA-256, in hexadecimal.

    label: what names the file, such as --extractor. setting: what gives the SHA-256, which errors ask for.
    """
    try:
        with files.open_regular(path) as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{label} {path}: {error.strerror or error}") from None
    if not expected:
        raise UserError(
            f"{label} {path} also needs {setting}, the SHA-256 that its publisher states; the file has {actual}"
        )
    if actual != expected:
        raise UserError(f"{label} {path} has the SHA-256 {actual}, not {expected}: it is damaged or another file")


def check_network(network: Network) -> None:
    """Raise `UserError` if the file of a network of the loss `perceptual` is not there or has another SHA-256."""
    if network.file:
        verify(network.file, network.sha256, "--loss perceptual: the network", "sha256=HEX")


def downloaded(build: Callable[..., Any], label: str, instead: str) -> Any:
    """Call build(weights="imagenet") of a network of keras.applications, whose weights Keras downloads and caches.

    label: the setting that names the network. instead: the setting that needs no download. Raises `UserError` if the
    weights cannot be downloaded.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras writes its progress bar to stdout
            return build(weights="imagenet")
    except Exception as error:  # Keras raises `Exception` itself for a failed download
        raise UserError(
            f"{label}: its weights cannot be downloaded ({str(error)[:200]}): the first use needs network "
            f"access; try again with it, or use {instead}"
        ) from None


def write(path: Path, weights: Sequence[np.ndarray], description: dict[str, Any]) -> None:
    """Write an .npz file of arrays arr_0, arr_1, ... and a JSON object that describes them.

    Raises `files.WriteError` if the file cannot be written.
    """
    named = {f"arr_{index}": array for index, array in enumerate(weights)}
    safe_npz.write(path, {**named, ABOUT: np.array(json.dumps(description))})


def read(path: Path, shapes: Sequence[tuple[int, ...]]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Read arrays of exactly these shapes from an .npz file written by `write` or by numpy.savez(FILE, *arrays).

    Returns the arrays, float32, and the JSON object that describes them, {} if there is none. Raises `UserError` for
    any other file.
    """
    max_bytes = sum(4 * math.prod(shape) for shape in shapes) + MEMBER_SLACK * (len(shapes) + 2)
    try:
        stored = safe_npz.read(path, max_bytes)
        description = _description(stored.pop(ABOUT, None))
        names = [f"arr_{index}" for index in range(len(shapes))]
        if stored.keys() != set(names):
            raise ValueError(f"it does not hold the {len(shapes)} arrays arr_0, arr_1, ... of the network")
        arrays = [stored[name] for name in names]
        _check_shapes(arrays, shapes)
        return _finite(arrays), description
    except OSError as error:
        raise UserError(f"{path} holds no weights of this network: {error.strerror or error}") from None
    except ValueError as error:
        raise UserError(f"{path} holds no weights of this network: {error}") from None


def read_file(path: Path, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Read arrays of exactly these shapes, float32, by `read` from a file .npz, or else by `read_h5`.

    Raises `UserError` for any other file.
    """
    return read(path, shapes)[0] if path.suffix == ".npz" else read_h5(path, shapes)


def _description(text: np.ndarray | None) -> dict[str, Any]:
    """Parse the JSON text of an .npz file. Raises `ValueError` if it is not an object."""
    try:
        description = {} if text is None else json.loads(str(text))
    except RecursionError:
        description = None
    if not isinstance(description, dict):
        raise ValueError(f"its entry '{ABOUT}' is not a JSON object")
    return description


def read_h5(path: Path, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Read arrays of exactly these shapes from an HDF5 file of weights in the layout of Keras 1 and 2.

    The weights files of keras.applications have this layout. Their attribute layer_names, and weight_names of each
    layer's group, define the order. Returns float32 arrays. Raises `UserError` for any other file.
    """
    with safe_hdf5.opened(path, "give a file of Keras weights") as file:
        stored = list(_stored_arrays(file))
        try:
            if len(stored) != len(shapes):
                raise ValueError(f"it has {len(stored)} arrays, not {len(shapes)}")
            _check_shapes(stored, shapes)  # before any is read: a small file can contain arrays of any size
            return _finite([array[:] for array in stored])
        except ValueError as error:
            raise UserError(f"{path} holds no weights of this network: {error}") from None


def _stored_arrays(file: h5py.File) -> Iterator[h5py.Dataset]:
    """The arrays in the order of the attributes, not read yet."""
    for layer in _names(file, "layer_names"):
        group = safe_hdf5.child(file, layer)
        if not isinstance(group, h5py.Group):
            raise UserError(f"{file.filename} has no group '{layer}', which its attribute layer_names lists")
        for weight in _names(group, "weight_names"):
            *parents, name = weight.split("/")
            node: h5py.Group | h5py.Dataset | None = group
            for parent in parents:
                node = safe_hdf5.child(node, parent) if isinstance(node, h5py.Group) else None
            array = safe_hdf5.array(node, name) if isinstance(node, h5py.Group) else None
            if array is None:
                raise UserError(f"{file.filename} has no array '{layer}/{weight}', which its weight_names lists")
            yield array


def _names(group: h5py.Group, attribute: str) -> list[str]:
    if attribute not in group.attrs:
        raise UserError(
            f"{group.file.filename} is not a file of Keras weights: '{group.name}' has no attribute {attribute}"
        )
    return [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        for name in np.ravel(safe_hdf5.attribute(group, attribute))
    ]


def _check_shapes(arrays: Sequence[np.ndarray | h5py.Dataset], shapes: Sequence[tuple[int, ...]]) -> None:
    """Raise `ValueError` unless the arrays have these shapes and a float dtype."""
    for index, (array, shape) in enumerate(zip(arrays, shapes, strict=True)):
        if array.shape != tuple(shape) or array.dtype.kind != "f":
            raise ValueError(f"array {index} is {array.dtype} {list(array.shape)}, not floats {list(shape)}")


def _finite(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Convert arrays to float32. Raises `ValueError` if any value is not finite."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("some of its values are not finite")
    return [array.astype(np.float32) for array in arrays]
