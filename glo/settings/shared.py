"""Parts that the settings of several commands share: the groups of --help, limits, and help texts."""

from functools import partial

from glo.runtime.memory import SIZE
from glo.settings.fields import PLAIN_NAME, setting

data_setting = partial(setting, group="data")
model_setting = partial(setting, group="model")
training_setting = partial(setting, group="training")
code_setting = partial(setting, group="codes")
task_setting = partial(setting, group="tasks")
fitting_setting = partial(setting, group="fitting")
edit_setting = partial(setting, group="attributes")
sampling_setting = partial(setting, group="sampling")
explorer_setting = partial(setting, group="explorer")
output_setting = partial(setting, group="output")
machine_setting = partial(setting, group="machine")

NAME = {"pattern": PLAIN_NAME, "example": "at most 80 letters, digits, '.', '_' and '-'"}
SEED = {"low": 0, "high": 2**32 - 1}
DEVICE = {"pattern": r"auto|cpu|gpu:[0-9]{1,4}", "example": "auto, cpu or gpu:0"}
DEVICE_HELP = "auto (the first GPU if there is one), cpu, or gpu:N"
MEMORY = {"pattern": SIZE, "example": "4G or 500M", "metavar": "SIZE"}
MEMORY_HELP = "images that take more than this are read from the file as needed (default: half of the free memory)"
# Names of `glo.samplers.SAMPLERS`, repeated here because settings must not import TensorFlow; a test compares them.
SAMPLERS = ("gaussian", "diagonal", "unit", "gmm", "leading", "imle", "flow", "kde")
MIXTURES = ("gmm", "leading")  # samplers with --components
TEMPERATURES = {"leading": 0.95}  # default temperatures of samplers; 1 for others
COMPONENTS = {"low": 1, "high": 10000}


def automatic_components(n: int) -> int:
    """The number of components of the gmm that `--sampler auto` fits to n codes.

    One for every 100 codes, at most 1,000. Fewer than 10,000 codes have up to 100 components of at least 50 codes each.
    """
    return max(1, min(n // 50, max(100, n // 100), 1000))
