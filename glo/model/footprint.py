"""The memory that a training run or an evaluation needs, estimated before TensorFlow allocates any of it.

The estimates count only arrays that must exist at the same time, so that they are too low rather than too high.
"""

import math
from collections.abc import Collection, Iterable
from typing import NamedTuple

from glo.model import geometry
from glo.runtime import memory
from glo.runtime.errors import UserError
from glo.settings import EvalSettings, TrainSettings, loss_expression
from glo.settings.shared import automatic_components

FLOAT = 4  # bytes
FITTING_STARTS = 4  # the mean code and those of three neighbors
RACING_STARTS = 2  # under each condition, where the condition of an image is unknown
MEMORISATION = 1000  # the measures of copying draw at least this many codes


class Part(NamedTuple):
    """Bytes of one purpose. flag: the setting that reduces them, if any. host: in host memory even with a GPU."""

    name: str
    size: int
    flag: str = ""
    host: bool = True


def training(
    settings: TrainSettings,
    image_shape: tuple[int, int, int],
    dimension: int,
    n: int,
    condition_size: int = 0,
    workers: int = 1,
) -> list[Part]:
    """Parts of a worker of a training run on n images (H, W, C), without the images, which are loaded already.

    condition_size: k, of a conditional model.
    """
    companion = _companion(settings, image_shape, dimension, condition_size)
    copies, n = n * settings.copies(n) // workers, n // workers
    rows, adam = n + copies, settings.code_optimizer == "adam"
    codes = rows * (FLOAT * dimension * (3 if adam else 1) + FLOAT * adam + 8)  # 8: the order of the rows
    codes += copies * (FLOAT * dimension + 40)  # initial codes, and how a copy is altered
    batch, compared = min(-(-settings.batch_size // workers), rows), _compared(image_shape, settings)
    plain, film = geometry.parameters(image_shape, dimension, settings, condition_size)
    values = (
        2 + 2 * (settings.generator_optimizer == "adam") + (settings.ema > 0)
    )  # of each parameter, and its gradient
    return [
        Part("codes with their optimizer", codes, "--augment_to" if copies > n else "--max_samples or --dimension"),
        Part(
            "the generator with its optimizer",
            FLOAT * values * (plain + film),
            "--film" if film > plain else "--channels, --max_channels or --dimension",
            host=False,
        ),
        Part(
            "the maps of a batch",
            2 * batch * _activations(image_shape, settings),
            "--batch_size",
            host=False,
        ),
        *([Part("the encoder or discriminator", FLOAT * values * companion, host=False)] if companion else []),
        *([Part("the maps of the loss", 2 * batch * compared, "--batch_size", host=False)] if compared else []),
    ]


def encoder(
    settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int, n: int, condition_size: int = 0
) -> list[Part]:
    """Parts of the training of an encoder for a run with these settings on n images (H, W, C).

    condition_size: k, of a conditional model.
    """
    batch = min(settings.batch_size, n)
    parameters = geometry.encoder_parameters(image_shape, dimension, condition_size)
    maps = FLOAT * sum(map(math.prod, geometry.encoder_maps(image_shape)))
    return [part._replace(flag="") for part in training(settings, image_shape, dimension, n, condition_size)] + [
        Part("the encoder with its optimizer", 4 * FLOAT * parameters, host=False),
        Part("the encoder's maps of a batch", 2 * batch * maps, host=False),
    ]


def evaluation(
    settings: EvalSettings,
    trained: TrainSettings,
    image_shape: tuple[int, int, int],
    dimension: int,
    n: int,
    fitted: int,
    tasks: Collection[str],
    candidates: int = 1,
) -> list[Part]:
    """Parts of an evaluation of a run on n training images. fitted: number of images whose codes are fitted.

    tasks: names of the requested tasks, as in `glo.evaluation.registry`. candidates: conditions under which each image
    is fitted.
    """
    pixels = image_shape[0] * image_shape[1] * image_shape[2]
    samples = settings.num_samples if "generate" in tasks else 0
    drawn = max(samples, MEMORISATION) if samples else 0
    starts = FITTING_STARTS + settings.draws if candidates == 1 else RACING_STARTS * candidates
    decoded = max(drawn, fitted * starts, n)
    parts = [
        Part("samples", samples * 2 * pixels + drawn * 3 * FLOAT * dimension, "--num_samples"),
        Part(
            "starts of fitting", fitted * starts * 2 * FLOAT * dimension, "--draws" if settings.draws else "--num_fit"
        ),
        Part(
            "the maps of a batch",
            min(settings.batch_size, decoded) * (_activations(image_shape, trained) + _compared(image_shape, trained)),
            "--batch_size",
            host=False,
        ),
    ]
    sampler, sampled = settings.sampler_of(trained), {"generate", "per_class", "metrics", "export", "explore"}
    if sampler in ("auto", "gmm") and sampled & set(tasks):
        chosen = automatic_components(n) if sampler == "auto" else 1
        components = min(settings.components or trained.components or chosen, n)
        covariances = 28 * components * dimension**2  # in float64, with roots, their inverses, and these in float32
        parts.append(Part("covariances of the sampler gmm", covariances, "--components"))
    return parts


def require(parts: Iterable[Part], purpose: str, gpu: bool) -> None:
    """Raise `UserError` that names the flag of the largest part if all of them need more than the free host memory.

    gpu: if true, parts that are in the memory of a GPU do not count.
    """
    parts = [part for part in parts if part.host or not gpu]
    total, largest, free = sum(part.size for part in parts), max(parts, key=lambda part: part.size), memory.available()
    if total > free:
        raise UserError(
            f"{purpose} would take {_gigabytes(total)} of memory, {_gigabytes(largest.size)} of it for {largest.name}, "
            f"and {_gigabytes(free)} are free: {f'lower {largest.flag}' if largest.flag else 'use a larger machine'}"
        )


def describe(parts: Iterable[Part]) -> str:
    """All parts in megabytes, for --dry_run."""
    return ", ".join(f"{part.size / 1e6:,.1f} MB {part.name}" for part in parts)


def _companion(settings: TrainSettings, image_shape: tuple[int, int, int], dimension: int, condition_size: int) -> int:
    """Number of values of the network with which the generator of a method learns."""
    outputs = {"glo": 0, "pca": 0, "autoencoder": dimension, "vae": 2 * dimension, "gan": 1}[settings.method]
    return geometry.encoder_parameters(image_shape, outputs, condition_size) if outputs else 0


def _activations(image_shape: tuple[int, int, int], settings: TrainSettings) -> int:
    """Bytes of all maps of one image."""
    return FLOAT * sum(rows * columns * channels for rows, columns, channels in geometry.maps(image_shape, settings))


def _compared(image_shape: tuple[int, int, int], settings: TrainSettings) -> int:
    """Bytes of all maps of one image by which the loss `perceptual` compares; 0 for other losses."""
    network = loss_expression.network(settings.loss)
    return FLOAT * sum(map(math.prod, geometry.perceptual_maps(network.name, image_shape))) if network else 0


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
