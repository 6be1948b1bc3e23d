"""The settings of the three commands, as frozen dataclasses that `glo.settings.fields` fills and checks."""

from glo.settings.build import BuildSettings
from glo.settings.evaluate import EXTRACTORS, EvalSettings
from glo.settings.shared import SAMPLERS
from glo.settings.train import TrainSettings

__all__ = ["EXTRACTORS", "SAMPLERS", "BuildSettings", "EvalSettings", "TrainSettings"]
