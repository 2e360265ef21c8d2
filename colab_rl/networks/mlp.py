"""A multilayer perceptron, with fast paths for networks of a few thousand parameters.

`vjp` writes the gradient out. One step of the walker's policy (512 rows, 64-64, Adam included) takes 0.70 ms with it,
and 1.37 ms by autograd: bookkeeping costs as much as the arithmetic.

`acting` is NumPy's. For the few rows of a step it takes a fifth of the time of torch's calls. Each row is multiplied by
itself (`matmul` over (B, 1, inputs)), which is nearly as fast as all together. A product of several rows is rounded
differently for another number of rows, and an action must not depend on the number of environments in a worker.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from colab_rl.networks.activations import ACTIVATIONS
from colab_rl.networks.base import Forward, Network, Pullback
from colab_rl.networks.layers import Gain, linear


class MLP(Network):
    """Linear layers of `sizes` with activations between, initialised orthogonally."""

    def __init__(self, sizes: list[int], activation: str, output_gain: Gain, generator: torch.Generator):
        super().__init__()
        gains = [*[math.sqrt(2)] * (len(sizes) - 2), output_gain]
        self.layers = nn.ModuleList(linear(fan_in, fan_out, gain, generator) for (fan_in, fan_out), gain in
                                    zip(itertools.pairwise(sizes), gains, strict=True))
        # A plain list: looking a parameter up in a module takes as long as a small product.
        self._parameters_of_layers: list[tuple[Any, Any]] = [(layer.weight, layer.bias) for layer in self.layers]
        self._activate, self._activate_backward, self._activate_in_numpy = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(B, sizes[-1]) of (B, sizes[0])."""
        *hidden, output = self._parameters_of_layers
        for weight, bias in hidden:
            x = self._activate(functional.linear(x, weight, bias))
        return functional.linear(x, *output)

    def acting(self) -> Forward:
        """See Network."""
        layers = [(weight.numpy(force=True).T, bias.numpy(force=True)) for weight, bias in self._parameters_of_layers]
        (*hidden, output), activate = layers, self._activate_in_numpy

        def outputs(x: np.ndarray) -> np.ndarray:
            x = x[:, None]
            for weight, bias in hidden:
                x = activate(x @ weight + bias)
            return (x @ output[0] + output[1])[:, 0]

        return outputs

    def dead_units(self, obs: Tensor) -> float:
        """See Network: their deviation over (B, ...) is below 1e-3."""
        x, deviations = obs, []
        for weight, bias in self._parameters_of_layers[:-1]:
            x = self._activate(functional.linear(x, weight, bias))
            deviations.append(x.std(0, correction=0))
        return float((torch.cat(deviations) < 1e-3).float().mean()) if deviations else 0.0

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """See Network. Every parameter has its `.grad` already."""
        *hidden, output = self._parameters_of_layers
        inputs, sums = [obs], []
        for weight, bias in hidden:
            sums.append(functional.linear(inputs[-1], weight, bias))
            inputs.append(self._activate(sums[-1]))

        def pullback(gradient: Tensor) -> None:
            for i in reversed(range(len(inputs))):
                weight, bias = self._parameters_of_layers[i]
                weight.grad.addmm_(gradient.t(), inputs[i])
                bias.grad.add_(gradient.sum(0))
                if i > 0:
                    gradient = self._activate_backward(torch.mm(gradient, weight), sums[i - 1], inputs[i])

        return functional.linear(inputs[-1], *output).requires_grad_(), pullback
