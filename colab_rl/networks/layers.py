"""Layers that several networks are built of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LAYER_NORM_EPS = 1e-5
Gain = float | Sequence[float]  # of a layer's outputs, or of each


def initialised(layer: nn.Module, gain: Gain, generator: torch.Generator) -> None:
    """Orthogonal weights, biases 0.

    Saxe et al. 2014, arXiv:1312.6120; gains as in Andrychowicz et al. 2021, arXiv:2006.05990: sqrt(2) in hidden layers.
    """
    for name, parameter in layer.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
        elif isinstance(gain, Sequence):
            nn.init.orthogonal_(parameter, generator=generator)
            with torch.no_grad():
                parameter.mul_(torch.tensor(gain).unsqueeze(-1))
        else:
            nn.init.orthogonal_(parameter, gain, generator=generator)


def linear(inputs: int, outputs: int, gain: Gain, generator: torch.Generator) -> nn.Linear:
    """A linear layer as `initialised` leaves it."""
    with torch.random.fork_rng(devices=[]):  # skip_init would import sympy, which takes 0.3 s
        layer = nn.Linear(inputs, outputs)
    initialised(layer, gain, generator)
    return layer


def layer_normalized(x: Tensor) -> Tensor:
    """(..., units) less the mean of its units, over their deviation (Ba et al. 2016, arXiv:1607.06450).

    It has no parameters: the layer before and the layer after scale and shift as well.
    """
    return functional.layer_norm(x, x.shape[-1:], eps=LAYER_NORM_EPS)


def in_numpy(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Its (inputs, outputs) weight and its (outputs,) bias, of now."""
    return layer.weight.numpy(force=True).T, layer.bias.numpy(force=True)


def normalized_in_numpy(x: np.ndarray, units: int) -> np.ndarray:
    """`layer_normalized` of (B, 1, units) rows. A mean is a product: that averages each row alone, and exports
    draw it.
    """
    average = np.full((units, 1), 1 / units, np.float32)
    centred = x - x @ average
    return centred / np.sqrt((centred * centred) @ average + np.float32(LAYER_NORM_EPS))
