"""The toolkit's model, loss and updates as a compact PyTorch loop, with which its speed is compared."""

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from bench.timing import rate
from glo.settings import loss_expression


class Generator(nn.Module):
    """d -> 4x4 x 4c with batch normalisation, then transposed convolutions (kernel 4, stride 2) to 2c, c, the image."""

    def __init__(self, dimension: int, channels: int, image_channels: int):
        super().__init__()
        self.channels = channels
        self.project = nn.Linear(dimension, 16 * 4 * channels, bias=False)
        self.norm = nn.BatchNorm2d(4 * channels)
        widths = [4 * channels, 2 * channels, channels, image_channels]
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 4, 2, 1) for i, o in itertools.pairwise(widths))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        x = self.project(codes).view(-1, 4 * self.channels, 4, 4)
        x = functional.leaky_relu(self.norm(x), 0.2)
        for up in self.up[:-1]:
            x = functional.leaky_relu(up(x), 0.2)
        return torch.tanh(self.up[-1](x))


def lap_l1(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The toolkit's Laplacian-pyramid L1 with default arguments; float32 [B, C, n, n] -> [B]. n: a power of two."""
    (term,) = loss_expression.parse("lap_l1")
    rest, total = prediction - target, 0.0
    for _ in range(term.arguments["levels"]):
        n = rest.shape[2]
        blur, halve = torch.from_numpy(blurring(n, term.arguments["sigma"])), torch.from_numpy(halving(n))
        blurred = blur @ rest @ blur.T
        total = total + (rest - blurred).abs().mean((1, 2, 3))
        rest = halve @ blurred @ halve.T
    return total + rest.abs().mean((1, 2, 3))


# The toolkit has both matrices, but in a module that imports TensorFlow, which must not share a process with PyTorch.
@functools.cache
def blurring(n: int, sigma: float) -> np.ndarray:
    """float32 [n, n]: a Gaussian up to 2 sigma, with the pixels at the ends repeated beyond the border."""
    radius = math.ceil(2 * sigma)
    taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    padded = np.pad(np.eye(n), ((radius, radius), (0, 0)), "edge")
    return sum(tap * padded[k : k + n] for k, tap in enumerate(taps / taps.sum())).astype(np.float32)


@functools.cache
def halving(n: int) -> np.ndarray:
    """float32 [n // 2, n]: the mean of each pair of pixels. n: even."""
    return np.eye(n, dtype=np.float32).reshape(n // 2, 2, n).mean(axis=1)


class Loop:
    """Joint updates by SGD of generator and codes, codes in the unit ball. On most CPUs `channels_last` is faster."""

    def __init__(
        self, images: np.ndarray, codes: np.ndarray, channels: int, rate: float, alpha: float, channels_last: bool
    ):
        """images: uint8 [N, H, W, C], square. codes: float32 [N, d]."""
        torch.manual_seed(0)
        self.images = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.codes, self.alpha = torch.from_numpy(codes.copy()), alpha
        self.generator = Generator(codes.shape[1], channels, images.shape[3])
        if channels_last:
            self.generator = self.generator.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(self.generator.parameters(), lr=rate)

    def step(self, rows: np.ndarray) -> None:
        """One step on the rows int64 [B]."""
        rows = torch.from_numpy(rows)
        codes = self.codes[rows].requires_grad_()
        target = self.images[rows].float() / 127.5 - 1
        losses = lap_l1(self.generator(codes), target)
        self.optimizer.zero_grad()
        losses.mean().backward()
        self.optimizer.step()
        with torch.no_grad():
            updated = codes - self.alpha * len(rows) * codes.grad
            self.codes[rows] = updated / updated.norm(dim=1, keepdim=True).clamp(min=1)


def step_rates(loop: Loop, batch_size: int, steps: int) -> Iterator[float]:
    """Images/s of `steps` training steps, again and again."""
    n, random = len(loop.images), np.random.default_rng(1)
    batch_size = min(batch_size, n)

    def run() -> None:
        for _ in range(steps):
            loop.step(random.choice(n, batch_size, replace=False))

    while True:
        yield rate(run, steps * batch_size)
