"""What settings of several commands have in common."""

from glo.runtime.memory import SIZE
from glo.settings.fields import PLAIN_NAME

NAME = {"pattern": PLAIN_NAME, "example": "at most 80 letters, digits, '.', '_' and '-'"}
DEVICE = {"pattern": r"auto|cpu|gpu:\d+", "example": "auto, cpu or gpu:0"}
MEMORY = {"pattern": SIZE, "example": "4G or 500M", "metavar": "SIZE"}
MEMORY_HELP = "images that take more than this are read from the file as needed (default: half of the free memory)"
SAMPLERS = ("gaussian", "diagonal", "unit", "gmm", "imle", "flow", "kde")
COMPONENTS = {"low": 1, "high": 10000}
COMPONENTS_HELP = "with the sampler gmm: number of Gaussians (default: chosen by held-out likelihood)"
