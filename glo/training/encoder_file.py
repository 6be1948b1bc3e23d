"""The file of an encoder: encoder-<step>.npz in the run folder, for the checkpoint model-<step>.

It holds the weights and the state of their optimizer as plain arrays, and a manifest that names the checkpoint by its
checksums. An encoder is of no use to any other generator.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras

from glo.features import weights
from glo.model import encoder
from glo.model.glo_model import GloModel
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.training.manifest import Manifest

FORMAT = 1


@dataclass(frozen=True)
class EncoderManifest:
    """step: steps taken. steps: steps planned. checkpoint: SHA-256 of the checkpoint's files, by name."""

    step: int
    steps: int
    checkpoint: dict[str, str]
    format: int = FORMAT


def variables(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """What a file holds: the variables of the network, then the moments of its optimizer."""
    scalars = (optimizer.iterations, optimizer.learning_rate)
    moments = [variable for variable in optimizer.variables if not any(variable is scalar for scalar in scalars)]
    return [*network.variables, *moments]


def write(prefix: Path, values: Sequence[keras.Variable], about: EncoderManifest) -> None:
    """Write the encoder of the checkpoint `prefix`. Raises `files.WriteError`."""
    arrays = [value.numpy() for value in values]
    weights.write(paths.encoder(prefix), arrays, {**asdict(about), "sha256": weights.sha256(arrays)})


def read(prefix: Path, saved: Manifest, values: Sequence[keras.Variable]) -> EncoderManifest:
    """Assign the stored values of the encoder of a checkpoint. saved: the manifest of this checkpoint.

    Raises `UserError` if the file is damaged, or belongs to another checkpoint.
    """
    path = paths.encoder(prefix)
    advice = f"remove it, and type python trainer.py --checkpoint {prefix} --encoder"
    try:
        arrays, description = weights.read(path, [tuple(value.shape) for value in values])
    except UserError as error:
        raise UserError(f"{error}: {advice}") from None
    sha256 = description.pop("sha256", None)
    try:
        about = EncoderManifest(**description)
    except TypeError:
        raise UserError(f"{path} has no manifest of an encoder: {advice}") from None
    if not _sound(about) or sha256 != weights.sha256(arrays):
        raise UserError(f"{path} is damaged, or of another version: {advice}")
    if about.checkpoint != saved.files:
        raise UserError(f"{path} is the encoder of another checkpoint than {prefix}: {advice}")
    for value, array in zip(values, arrays, strict=True):
        value.assign(array)
    return about


def restore(prefix: Path, saved: Manifest, model: GloModel) -> keras.Model:
    """The encoder of a checkpoint, whose model is restored. Raises `UserError` as `read` does.

    Logs a warning if its training has not ended.
    """
    network = encoder.build(model.image_shape, model.dimension, 0, model.condition_size)
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)
    about = read(prefix, saved, variables(network, optimizer))
    if about.step < about.steps:
        logger.warning(
            "the encoder was trained for %d of %d steps; continue with: python trainer.py --checkpoint %s --encoder",
            about.step, about.steps, prefix,
        )  # fmt: skip
    return network


def _sound(about: EncoderManifest) -> bool:
    """Whether the entries have the right types."""
    counts = about.step, about.steps
    return about.format == FORMAT and all(type(count) is int for count in counts) and 0 <= about.step <= about.steps
