"""The settings of the three commands: typed, checked, and read from flags and YAML files, without TensorFlow."""

from glo.settings.build import BuildSettings
from glo.settings.evaluate import EXTRACTORS, EvalSettings
from glo.settings.shared import MIXTURES, SAMPLERS
from glo.settings.train import TrainSettings

__all__ = ["EXTRACTORS", "MIXTURES", "SAMPLERS", "BuildSettings", "EvalSettings", "TrainSettings"]
