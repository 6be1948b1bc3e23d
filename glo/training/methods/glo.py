"""GLO: each image has a learnable code, which is trained along with the generator, see `glo.training.step`."""

from glo.training.methods.steps import Step, Steps
from glo.training.state import Training
from glo.training.step import Step as GloStep
from glo.training.step import make_refinement, make_step


def make_steps(training: Training, learned: int) -> Steps:
    """Compile the steps. learned: number of steps that train the generator."""
    model, loss, settings, crew = training.model, training.loss, training.settings, training.crew
    learn = make_step(model, loss, settings, learned, crew, training.rows if crew.count > 1 else None)
    return Steps(_named(learn), _named(make_refinement(model, loss, settings)))


def _named(step: GloStep) -> Step:
    return lambda rows, images: {"loss": step(rows, images)}
