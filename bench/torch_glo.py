"""The same model, loss and updates as the toolkit's, as a compact PyTorch loop: what its speed is measured against."""

import itertools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from glo.model import filters
from glo.settings import loss_expression


class Generator(nn.Module):
    """d -> 4x4 x 4c, batch-normalised, then transposed convolutions (kernel 4, stride 2) to 2c, c and the image."""

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
    """The Laplacian-pyramid L1 of glo.losses with its defaults and matrices; float32 [B, C, H, W] -> [B]."""
    (term,) = loss_expression.parse("lap_l1")
    rest, total = prediction - target, 0.0
    for _ in range(term.arguments["levels"]):
        n = rest.shape[2]
        blur, halve = map(torch.from_numpy, (filters.blur(n, term.arguments["sigma"]), filters.halve(n)))
        blurred = blur @ rest @ blur.T
        total = total + (rest - blurred).abs().mean((1, 2, 3))
        rest = halve @ blurred @ halve.T
    return total + rest.abs().mean((1, 2, 3))


class Loop:
    """Joint update, SGD on both sides, codes in the unit ball. `channels_last` is the faster layout on most CPUs."""

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
            moved = codes - self.alpha * len(rows) * codes.grad
            self.codes[rows] = moved / moved.norm(dim=1, keepdim=True).clamp(min=1)
