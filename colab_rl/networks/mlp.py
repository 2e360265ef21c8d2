"""Networks: an MLP, a policy head for each kind of action space, a value network.

| symbol | meaning |
| --- | --- |
| B | rows of a batch |
| A | `action_dim`: choices of a discrete policy, dimensions of a continuous one |

Gradients are written out instead of recorded: `vjp` (vector-Jacobian product) gives an output
and a `Pullback`, which turns the gradient of a loss by that output into `.grad` of every parameter.
Networks are so small that autograd's bookkeeping would cost several times the arithmetic.
`forward` still is what autograd can differentiate.

Acting is NumPy's: for the few rows of a step it takes a fifth of the time of torch's calls. Each row is
multiplied by itself (`matmul` over (B, 1, obs_dim)), nearly as fast as all together, whose rounding
would depend on how many there are: an action does not depend on the number of groups or workers.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from colab_rl.networks.activations import ACTIVATIONS

Pullback = Callable[..., None]


class MLP(nn.Module):
    """Linear layers of `sizes` with activations between, initialised orthogonally.

    Hidden layers have gain sqrt(2), biases are 0 (Saxe et al. 2014, arXiv:1312.6120;
    gains as in Andrychowicz et al. 2021, arXiv:2006.05990).
    """

    def __init__(self, sizes: list[int], activation: str, output_gain: float, generator: torch.Generator):
        super().__init__()
        gains = [math.sqrt(2)] * (len(sizes) - 2) + [output_gain]
        self.layers = nn.ModuleList()
        # A plain list: looking a parameter up in a module takes as long as a small product.
        self._parameters_of_layers: list[tuple[nn.Parameter, nn.Parameter]] = []
        for (fan_in, fan_out), gain in zip(itertools.pairwise(sizes), gains, strict=True):
            linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
            nn.init.orthogonal_(linear.weight, gain, generator=generator)
            nn.init.zeros_(linear.bias)
            self.layers.append(linear)
            self._parameters_of_layers.append((linear.weight, linear.bias))
        self._activate, self._activate_backward, self._activate_in_numpy = ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """(B, sizes[-1]) outputs of (B, sizes[0]) inputs."""
        *hidden, output = self._parameters_of_layers
        for weight, bias in hidden:
            x = self._activate(functional.linear(x, weight, bias))
        return functional.linear(x, *output)

    def in_numpy(self) -> Callable[[np.ndarray], np.ndarray]:
        """`forward` with the parameters of now, for (B, sizes[0]) float32 arrays, each row by itself."""
        layers = [(weight.numpy(force=True).T, bias.numpy(force=True)) for weight, bias in self._parameters_of_layers]
        (*hidden, output), activate = layers, self._activate_in_numpy

        def outputs(x: np.ndarray) -> np.ndarray:
            x = x[:, None]
            for weight, bias in hidden:
                x = activate(x @ weight + bias)
            return (x @ output[0] + output[1])[:, 0]

        return outputs

    def dead_units(self, x: Tensor) -> float:
        """Share of hidden units that say the same of every row: their deviation over (B, ...) is below 1e-3."""
        deviations = []
        for weight, bias in self._parameters_of_layers[:-1]:
            x = self._activate(functional.linear(x, weight, bias))
            deviations.append(x.std(0))
        return float((torch.cat(deviations) < 1e-3).float().mean()) if deviations else 0.0

    def vjp(self, x: Tensor) -> tuple[Tensor, Pullback]:
        """`forward`, and what turns the (B, sizes[-1]) gradient by the outputs into `.grad`, overwriting it.

        Not to be recorded by autograd; every parameter has its `.grad` already.
        """
        *hidden, output = self._parameters_of_layers
        inputs, sums = [x], []
        for weight, bias in hidden:
            sums.append(functional.linear(inputs[-1], weight, bias))
            inputs.append(self._activate(sums[-1]))

        def pullback(gradient: Tensor) -> None:
            for i in reversed(range(len(inputs))):
                weight, bias = self._parameters_of_layers[i]
                torch.mm(gradient.t(), inputs[i], out=weight.grad)
                torch.sum(gradient, 0, out=bias.grad)
                if i > 0:
                    gradient = self._activate_backward(torch.mm(gradient, weight), sums[i - 1], inputs[i])

        return functional.linear(inputs[-1], *output), pullback


