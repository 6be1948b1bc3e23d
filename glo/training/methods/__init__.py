"""How the generator learns, by the names of --method: a module each, which makes the two steps of the training loop."""

from collections.abc import Callable

from glo.training.methods import autoencoder, gan, glo, pca, vae
from glo.training.methods.steps import Steps
from glo.training.state import Training

METHODS: dict[str, Callable[[Training, int], Steps]] = {
    "glo": glo.make_steps,
    "pca": pca.make_steps,
    "autoencoder": autoencoder.make_steps,
    "vae": vae.make_steps,
    "gan": gan.make_steps,
}


def make_steps(training: Training, learned: int) -> Steps:
    """Compile the steps of the method of the settings. learned: number of steps that train the generator."""
    return METHODS[training.settings.method](training, learned)
