"""Sizes of the generator's maps and the number of its parameters, from the settings alone, without TensorFlow."""

import dataclasses
import itertools
import math

from glo.runtime.errors import UserError
from glo.settings import TrainSettings

COARSE_SIDE = 4  # least shorter side of the first map, unless the setting `blocks` is given
# Channels of the first map of grey and of other images, and a divisor of all channels, unless `channels` is given.
# CPUs and GPUs multiply matrices in blocks of 16.
GREY_CHANNELS, COLOR_CHANNELS, MULTIPLE = 96, 320, 16
ENCODER_WIDTH, ENCODER_MAX_WIDTH = 32, 256  # channels of the first map of the encoder, and of its last ones
ENCODER_UNITS = 512  # of its dense layer
# Channels of the first map of the network `classifier` of the loss `perceptual`, and of its last ones.
PERCEPTUAL_WIDTH, PERCEPTUAL_MAX_WIDTH, PERCEPTUAL_HALVINGS = 16, 128, 4
EMBEDDING = 32  # dimension of the embedding of a condition
KERNEL = {"deconv": 16, "resize_conv": 9}  # weights of a kernel for each pair of channels


def maps(image_shape: tuple[int, int, int], settings: TrainSettings) -> list[tuple[int, int, int]]:
    """The shapes (h, w, c) of the first map and of the output of each convolution, before images are cropped.

    image_shape: (H, W, C). Each of the `blocks` convolutions doubles the sides; without blocks, one keeps them.
    """
    height, width, channels = image_shape
    settings = resolved(image_shape, settings)
    blocks, finest = settings.blocks, settings.channels
    rows, columns = math.ceil(height / 2**blocks), math.ceil(width / 2**blocks)
    widths = [min(finest << i, settings.max_channels) for i in reversed(range(max(blocks, 1)))]
    if blocks == 0:
        return [(rows, columns, widths[0]), (rows, columns, channels)]
    return [(rows << i, columns << i, c) for i, c in enumerate([*widths, channels])]


def resolved(image_shape: tuple[int, int, int], settings: TrainSettings) -> TrainSettings:
    """The settings with the numbers of blocks and channels that follow from images of this shape where they are None.

    Runs store them, so that their checkpoints can be restored even if these defaults change.
    """
    height, width, image_channels = image_shape
    blocks = upsampling_blocks(height, width) if settings.blocks is None else settings.blocks
    channels = settings.channels or finest_channels(image_channels, blocks)
    return dataclasses.replace(settings, blocks=blocks, channels=channels)


def upsampling_blocks(height: int, width: int) -> int:
    """The largest number of doublings for which the shorter side of the first map is at least `COARSE_SIDE`."""
    return max(0, math.floor(math.log2(min(height, width) / COARSE_SIDE)))


def finest_channels(image_channels: int, blocks: int) -> int:
    """Channels of the finest hidden map, so that the first map has about `GREY_CHANNELS` or `COLOR_CHANNELS`."""
    first = GREY_CHANNELS if image_channels == 1 else COLOR_CHANNELS
    return MULTIPLE * max(1, round(first / 2 ** max(blocks - 1, 0) / MULTIPLE))


def check_blocks(image_shape: tuple[int, int, int], settings: TrainSettings) -> None:
    """Raise `UserError` if the first map would have one pixel and still be doubled to more than the image's size."""
    height, width, _ = image_shape
    most = math.ceil(math.log2(max(height, width)))
    if settings.blocks is not None and settings.blocks > most:
        raise UserError(
            f"--blocks {settings.blocks}: {most} doublings make one pixel an image of {height}x{width}; "
            f"give --blocks {most} or less"
        )


def parameters(
    image_shape: tuple[int, int, int], dimension: int, settings: TrainSettings, condition_size: int = 0
) -> tuple[int, int]:
    """Number of the generator's values, moving statistics included: of all layers but FiLM's, and of FiLM's.

    condition_size: k, of a conditional generator, which appends an embedding of the condition to the code.
    """
    if settings.method == "pca":
        return (dimension + 1) * math.prod(image_shape), 0
    embedding = EMBEDDING * condition_size
    dimension += EMBEDDING * (condition_size > 0)
    shapes = maps(image_shape, settings)
    rows, columns, first = shapes[0]
    kernel = KERNEL[settings.generator] if shapes[1][0] > rows else 9
    convolutions = sum(kernel * a[2] * b[2] + b[2] for a, b in itertools.pairwise(shapes))
    plain = embedding + dimension * rows * columns * first + 4 * first + convolutions
    if not settings.film:
        return plain, 0
    modulations = sum((dimension + settings.film + 1) * 2 * channels for *_, channels in shapes)
    return plain, dimension * settings.film + 4 * settings.film + modulations


def encoder_maps(image_shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The shapes (h, w, c) of the image and of the output of each convolution of the encoder.

    image_shape: (H, W, C). Maps are halved until their shorter side has at most `COARSE_SIDE` pixels.
    """
    shapes, channels = [image_shape], ENCODER_WIDTH
    while min(shapes[-1][:2]) > COARSE_SIDE:
        rows, columns, _ = shapes[-1]
        shapes.append((-(-rows // 2), -(-columns // 2), channels))
        channels = min(2 * channels, ENCODER_MAX_WIDTH)
    return shapes


def encoder_parameters(image_shape: tuple[int, int, int], dimension: int, condition_size: int = 0) -> int:
    """Number of the encoder's values, moving statistics included. image_shape: (H, W, C)."""
    shapes = encoder_maps(image_shape)
    convolutions = sum(9 * a[2] * b[2] + b[2] + 4 * b[2] for a, b in itertools.pairwise(shapes))
    features = math.prod(shapes[-1]) + condition_size
    return convolutions + (features + 4) * ENCODER_UNITS + (ENCODER_UNITS + 1) * dimension


def perceptual_maps(network: str, image_shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The shapes (h, w, c) of the output of each convolution of the network of the loss `perceptual`.

    network: `classifier`, which halves the image until the shorter side has at most `COARSE_SIDE` pixels, at most
    `PERCEPTUAL_HALVINGS` times; any other is VGG16 up to its third block. image_shape: (H, W, C).
    """
    rows, columns, _ = image_shape
    if network != "classifier":
        blocks = [block for block in range(3) if min(rows, columns) >> block]
        return [(rows >> block, columns >> block, 64 << block) for block in blocks for _ in range(2 + (block == 2))]
    shapes = [(rows, columns, PERCEPTUAL_WIDTH)]
    while min(shapes[-1][:2]) > COARSE_SIDE and len(shapes) <= PERCEPTUAL_HALVINGS:
        rows, columns, width = shapes[-1]
        shapes.append((-(-rows // 2), -(-columns // 2), min(2 * width, PERCEPTUAL_MAX_WIDTH)))
    return shapes
