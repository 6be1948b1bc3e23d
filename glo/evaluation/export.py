"""The task `export`: write the model as a TensorFlow SavedModel, which can be loaded without this toolkit."""

from pathlib import Path
from typing import Any

import tensorflow as tf

from glo.evaluation.session import Session
from glo.model.codes import project
from glo.model.glo_model import GloModel
from glo.runtime import files
from glo.runtime.log import logger
from glo.samplers import Sampler


class Exported(tf.Module):
    """The content of the SavedModel: two functions and the weights that they use.

    decode: codes float32 [n, d] -> images uint8 [n, H, W, C].
    sample: standard normal noise float32 [n, m] -> images uint8 [n, H, W, C] of codes drawn by the sampler.
    Of a conditional model, both also take conditions float32 [n, k]: one-hot vectors of classes, or attributes.
    """

    def __init__(self, model: GloModel, sampler: Sampler, projection: str, temperature: float):
        super().__init__(name="glo")
        self.weights = [variable.value for variable in model.evaluated.variables]
        codes = tf.TensorSpec([None, model.dimension], tf.float32, "codes")
        noise = tf.TensorSpec([None, sampler.noise_dimension], tf.float32, "noise")
        condition = [tf.TensorSpec([None, model.condition_size], tf.float32, "condition")] * bool(model.condition_size)

        def decode(codes: tf.Tensor, *condition: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.round((model.decode(codes, *condition) + 1) * 127.5), tf.uint8)

        def sample(noise: tf.Tensor, *condition: tf.Tensor) -> tf.Tensor:
            return decode(project(sampler.transform(noise, temperature), projection), *condition)

        self.decode = tf.function(decode, input_signature=[codes, *condition])
        self.sample = tf.function(sample, input_signature=[noise, *condition])


def run(session: Session) -> dict[str, Any]:
    """Write the generator and the sampler to the folder of --export."""
    run, settings = session.run, session.settings
    sampler, folder = session.sampler.sampler, Path(settings.export)
    exported = Exported(run.model, sampler, run.settings.projection, session.temperature)
    signatures = {"serving_default": exported.decode, "sample": exported.sample}
    with files.replacing_folder(folder, marker="saved_model.pb", force=settings.force) as temporary:
        tf.saved_model.save(exported, str(temporary), signatures)
    logger.info(
        "SavedModel with decode(codes [n, %d]) and sample(noise [n, %d]) written to %s",
        run.model.dimension, sampler.noise_dimension, folder,
    )  # fmt: skip
    return {
        "export": {
            "folder": str(folder),
            "sampler": session.sampler_name,
            "temperature": session.temperature,
            "dimension": run.model.dimension,
            "noise_dimension": sampler.noise_dimension,
            "condition": list(run.conditions.names),
        }
    }
