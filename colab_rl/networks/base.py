"""The seam between algorithms and networks.

A new network is a subclass of `Network` with a `forward`:

    class LayerNorm(Network):
        def __init__(self, observation, outputs):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(*observation.shape, 64), nn.LayerNorm(64), nn.Tanh(),
                                        nn.Linear(64, outputs))

        def forward(self, obs):
            return self.layers(obs)

An algorithm never calls `backward` through a network. It asks for the outputs and a pullback, writes its loss of the
outputs, and hands the loss's gradient by the outputs back:

    outputs, pullback = network.vjp(obs)
    pullback(*torch.autograd.grad(loss_of(outputs), outputs))

`vjp` (vector-Jacobian product) and `acting` have defaults that need nothing but `forward`. `MLP` overrides both,
because calls, and not arithmetic, are what networks of this size cost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Pullback = Callable[[Tensor], None]
Function = Callable[[np.ndarray], np.ndarray]  # of (B, *obs_shape) observations


class Network(nn.Module):
    """A torch module from observations to outputs: (B, *obs_shape) to (B, outputs).

    It is made as `Network(observation, outputs)`: an ObservationSpec and a number. Its parameters start from torch's
    global generator, which the run seeds first. It keeps no state but parameters and buffers.
    """

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """The outputs, as a leaf that requires a gradient, and the pullback of a loss's gradient by them.

        The pullback adds to `.grad` of every parameter: two losses of one network are two pullbacks. Both are called
        while autograd does not record (`torch.no_grad`), as it is the case in an update.
        """
        return recorded(self, obs)

    def acting(self) -> Function:
        """`forward` with the parameters of now, from and to float32 arrays. A row does not depend on other rows.

        Each row is a batch of its own: how a product of several rows is rounded depends on how many there are.
        """
        device = next(self.parameters()).device

        def outputs(rows: Any) -> Any:
            if not isinstance(rows, np.ndarray):
                return rows.through(self)  # an export's symbols
            with torch.no_grad():
                return torch.cat([self(row) for row in torch.from_numpy(rows).to(device).split(1)]).numpy(force=True)

        return outputs

    def dead_units(self, obs: Tensor) -> float | None:
        """Share of hidden units whose output hardly changes from row to row, None if it is not counted."""
        return None


def recorded(module: nn.Module, *inputs: Tensor) -> tuple[Tensor, Pullback]:
    """`Network.vjp` of any module, by autograd."""
    with torch.enable_grad():
        outputs = module(*inputs)
    return outputs.detach().requires_grad_(), partial(torch.autograd.backward, outputs)


def accumulate(parameter: nn.Parameter, gradient: Tensor) -> None:
    """Adds to a parameter's `.grad`."""
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
