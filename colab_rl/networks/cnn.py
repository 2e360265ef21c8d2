"""Convolutions of images.

    nature   32 of 8 x 8 by 4, 64 of 4 x 4 by 2, 64 of 3 x 3 (Mnih et al. 2015, doi:10.1038/nature14236)
    impala   three blocks of 16, 32 and 32: 3 x 3, pooled by 2, and two residual blocks of two 3 x 3 each
             (Espeholt et al. 2018, arXiv:1802.01561, the larger one)

An image is (H, W), or has its channels last or first: the shorter of the first and the last axis are the channels, and
the last if they are equal. An axis before these three holds stacked frames, whose channels are put together.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from colab_rl.errors import UsageError
from colab_rl.networks.layers import initialised

GAIN = math.sqrt(2)
LEAST_SIDE = {"nature": 36, "impala": 1}


class Convolutions(nn.Module):
    """From (B, *shape) uint8 images to (B, width) features. Raises UsageError if the images are too small."""

    def __init__(self, shape: tuple[int, ...], size: str, generator: torch.Generator):
        super().__init__()
        # As (frames, channels, height, width).
        self._axes = {2: (0, 1), 3: (2, 0, 1), 4: (0, 3, 1, 2)}[len(shape)]
        if len(shape) > 2 and shape[-3] < shape[-1]:
            self._axes = tuple(range(len(shape)))
        *channels, height, width = (shape[axis] for axis in self._axes)
        if min(height, width) < LEAST_SIDE[size]:
            raise UsageError(f"images of shape {shape} are too small for cnn_size={size}, which needs "
                             f"{LEAST_SIDE[size]} x {LEAST_SIDE[size]} at least; nothing was written; give "
                             "--set cnn_size=impala, or enlarge them (gymnasium.wrappers.ResizeObservation), or, if "
                             "they are no pictures, take them as numbers: --set wrappers=FlattenObservation")
        self.layers = LAYERS[size](math.prod(channels))
        self.layers.append(nn.Flatten())
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                initialised(layer, GAIN, generator)
        with torch.no_grad():
            self.width = self(torch.zeros(1, *shape, dtype=torch.uint8)).shape[1]

    def forward(self, images: Tensor) -> Tensor:
        """(B, width) of (B, *shape)."""
        x = images.permute(0, *(axis + 1 for axis in self._axes))
        x = x.flatten(1, -3) if x.ndim > 3 else x.unsqueeze(1)
        # Channels last: a gradient step takes a quarter less time than with channels first.
        return self.layers(x.contiguous(memory_format=torch.channels_last).float().mul_(1 / 255))


def _nature(channels: int) -> nn.Sequential:
    return nn.Sequential(_convolution(channels, 32, 8, stride=4), nn.ReLU(), _convolution(32, 64, 4, stride=2),
                         nn.ReLU(), _convolution(64, 64, 3), nn.ReLU())


def _impala(channels: int) -> nn.Sequential:
    layers = nn.Sequential()
    for inputs, outputs in ((channels, 16), (16, 32), (32, 32)):
        layers.extend([_convolution(inputs, outputs, 3, padding=1), nn.MaxPool2d(3, 2, padding=1),
                       Residual(outputs), Residual(outputs)])
    layers.append(nn.ReLU())
    return layers


LAYERS = {"nature": _nature, "impala": _impala}


class Residual(nn.Module):
    """Two convolutions whose output is added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(nn.ReLU(), _convolution(channels, channels, 3, padding=1),
                                    nn.ReLU(), _convolution(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) of the same."""
        return x + self.layers(x)


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    with torch.random.fork_rng(devices=[]):  # as in layers.linear
        return nn.Conv2d(inputs, outputs, size, stride, padding)
