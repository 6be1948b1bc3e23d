"""How the methods differ in their settings: defaults of their own, and settings that have no effect.

Recipes are written for GLO unless they name another method. The defaults of a method therefore override a recipe for
another one, and flags override both.
"""

from typing import Any

from glo.runtime.errors import UserError
from glo.settings import fields
from glo.settings.fields import FLAGS, Layer
from glo.settings.train import TrainSettings

# The code is not a parameter of its own, but computed from the image, or drawn.
_OF_LEARNED_CODES = ("alpha", "code_optimizer", "projection", "update", "code_noise", "noise_schedule", "refine_steps")
_OF_DESCENT = (
    "learning_rate", "schedule", "lr_weight_decay", "generator_optimizer", "weight_decay", "clip_norm", "ema",
)  # fmt: skip
_OF_NETWORKS = ("generator", "blocks", "channels", "max_channels", "film", "conditional")
_OF_COPIES = ("augment_to", "augment")

# By method: settings that have no effect.
UNUSED: dict[str, tuple[str, ...]] = {
    "glo": ("beta", "gradient_penalty"),
    "pca": (*_OF_LEARNED_CODES, *_OF_DESCENT, *_OF_NETWORKS, *_OF_COPIES, "code_decay", "beta", "gradient_penalty"),
    "autoencoder": (*_OF_LEARNED_CODES, "beta"),
    "vae": (*_OF_LEARNED_CODES, "code_decay", "gradient_penalty"),
    "gan": (*_OF_LEARNED_CODES, *_OF_COPIES, "code_decay", "beta", "dump_result"),  # which gives no codes to a batch
}
# Codes of other methods have no bound and no optimizer. The samplers of recipes are chosen for the codes of GLO.
_RIVAL = {"projection": "none", "code_optimizer": "sgd", "components": None, "temperature": 1.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "glo": {},
    "pca": {**_RIVAL, "sampler": "gaussian", "epochs": 7, "precision": "float32"},
    "autoencoder": {**_RIVAL, "sampler": "auto", "learning_rate": 0.002},
    "vae": {**_RIVAL, "sampler": "unit", "learning_rate": 0.002},
    "gan": {**_RIVAL, "sampler": "unit", "learning_rate": 0.001, "ema": 0.99, "gradient_penalty": 10.0},
}


def resolve(recipe: Layer, flags: Layer) -> TrainSettings:
    """The settings of a new run. Settings of a recipe that have no effect with the method have their defaults.

    Raises `UserError` for a flag that has no effect with the method, and as `fields.resolve`.
    """
    method = fields.resolve(TrainSettings, recipe, flags).method
    check(method, flags)
    unused = {field: getattr(TrainSettings, field) for field in UNUSED[method]}
    defaults = Layer(f"method {method}", {**unused, **DEFAULTS[method]})
    layers = [recipe, defaults]
    if recipe.values.get("method", "glo") == method:
        check(method, recipe)
        layers.reverse()
    return fields.resolve(TrainSettings, *budgeted(*layers, flags))


def check(method: str, layer: Layer) -> None:
    """Raise `UserError` for a setting that has no effect with the method."""
    for name in layer.values:
        if name in UNUSED[method]:
            label = f"--{name}" if layer.origin == FLAGS else f"{layer.origin}: {name}"
            raise UserError(f"{label} has no effect with --method {method}: drop it")


def budgeted(*layers: Layer) -> list[Layer]:
    """The layers, of which the last one that gives `minutes` or `epochs` decides: the other setting is dropped before.

    Raises `UserError` for a layer that gives both.
    """
    result: list[Layer] = []
    for layer in layers:
        given = {name for name in ("minutes", "epochs") if layer.values.get(name) is not None}
        if len(given) == 2:
            label = "--minutes and --epochs" if layer.origin == FLAGS else f"{layer.origin}: minutes and epochs"
            raise UserError(f"{label} both determine how long training takes: drop one")
        if given:
            (other,) = {"minutes", "epochs"} - given
            result = [Layer(earlier.origin, {**earlier.values, other: None}) for earlier in result]
        result.append(layer)
    return result
