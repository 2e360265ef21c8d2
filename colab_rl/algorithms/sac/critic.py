"""SAC's twin Q networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.networks.activations import ACTIVATIONS
from colab_rl.networks.base import Network, Pullback, recorded
from colab_rl.networks.mlp import MLP
from colab_rl.networks.registry import is_mlp

LAYER_NORM_EPS = 1e-5


class PairOfCritics(nn.Module):
    """Two networks of any kind, of flattened observations and actions side by side."""

    def __init__(self, first: Network, second: Network):
        super().__init__()
        self.pair = nn.ModuleList([first, second])

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(2, B) values."""
        inputs = torch.cat([obs.flatten(1).float(), actions], 1)
        return torch.stack([network(inputs).squeeze(-1) for network in self.pair])

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Pullback]:
        """See Network."""
        return recorded(self, obs, actions)

    def dead_units(self, obs: Tensor, actions: Tensor) -> None:
        """See Network."""


class TwinCritic(nn.Module):
    """Two Q networks side by side: weights of shape (2, out, in), so that each layer of both is one batched product.

    Within, a unit is a row and a transition is a column, (2, units, B): minibatches mostly are powers of two and layers
    often are not, and products whose rows end where the processor's vectors do are a tenth faster.

    With `layer_norm`, what enters each activation is normalised over the units of its layer first, which keeps
    values of actions never taken from running away (Ball et al. 2023, arXiv:2302.02948).
    """

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool,
                 generator: torch.Generator):
        super().__init__()
        sizes = [spaces.observation.shape[0] + spaces.action_dim, *hidden_sizes, 1]
        twins = [MLP(sizes, activation, 1.0, generator) for _ in range(2)]
        pairs = zip(*(twin.layers for twin in twins), strict=True)
        self.weights = nn.ParameterList(torch.stack([layer.weight.detach() for layer in pair]) for pair in pairs)
        self.biases = nn.ParameterList(torch.zeros(2, size, 1) for size in sizes[1:])
        self._layers = list(zip(self.weights, self.biases, strict=True))  # looking them up takes as long as a product
        self._layer_norm = layer_norm
        self._activate, self._activate_backward, _ = ACTIVATIONS[activation]

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(2, B) values of (B, *obs_shape) observations and (B, A) actions."""
        x = self._input(obs, actions)
        *hidden, (weight, bias) = self._layers
        for hidden_weight, hidden_bias in hidden:
            x = self._activate(self._normalized(torch.baddbmm(hidden_bias, hidden_weight, x))[0])
        return torch.baddbmm(bias, weight, x).squeeze(1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """See Network. With `of_actions` the pullback leaves the parameters alone, and returns the (B, A) gradient by
        the actions.
        """
        *hidden, (last_weight, last_bias) = self._layers
        inputs, sums, inverse_stds = [self._input(obs, actions)], [], []
        for weight, bias in hidden:
            normalized, inverse_std = self._normalized(torch.baddbmm(bias, weight, inputs[-1]))
            sums.append(normalized)
            inverse_stds.append(inverse_std)
            inputs.append(self._activate(normalized))
        values = torch.baddbmm(last_bias, last_weight, inputs[-1]).squeeze(1)

        def pullback(by_values: Tensor, of_actions: bool = False) -> Tensor | None:
            gradient = by_values.unsqueeze(1)
            for i in reversed(range(len(inputs))):
                weight, bias = self._layers[i]
                if not of_actions:
                    weight.grad.baddbmm_(gradient, inputs[i].mT)
                    bias.grad.add_(gradient.sum(2, keepdim=True))
                if i > 0:
                    gradient = torch.bmm(weight.mT, gradient)
                    gradient = self._activate_backward(gradient, sums[i - 1], inputs[i])
                    gradient = self._normalized_backward(gradient, sums[i - 1], inverse_stds[i - 1])
                elif of_actions:
                    return torch.bmm(weight[..., obs.shape[-1]:].mT, gradient).sum(0).t()
            return None

        return values.requires_grad_(), pullback

    def dead_units(self, obs: Tensor, actions: Tensor) -> float:
        """See MLP."""
        x, deviations = self._input(obs, actions), []
        for weight, bias in self._layers[:-1]:
            x = self._activate(self._normalized(torch.baddbmm(bias, weight, x))[0])
            deviations.append(x.std(2))
        return float((torch.cat(deviations, -1) < 1e-3).float().mean()) if deviations else 0.0

    @staticmethod
    def _input(obs: Tensor, actions: Tensor) -> Tensor:
        """(2, obs_dim + A, B) the same for both."""
        return torch.cat([obs.t(), actions.t()]).expand(2, -1, -1)

    def _normalized(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The (2, units, B) sums of a layer, normalised where that is asked for, and what they were multiplied by."""
        if not self._layer_norm:
            return x, None
        centred = x - x.mean(1, keepdim=True)
        inverse_std = centred.square().mean(1, keepdim=True).add(LAYER_NORM_EPS).rsqrt()
        return centred * inverse_std, inverse_std

    def _normalized_backward(self, gradient: Tensor, normalized: Tensor, inverse_std: Tensor | None) -> Tensor:
        if inverse_std is None:
            return gradient
        along = (gradient * normalized).mean(1, keepdim=True)
        return (gradient - gradient.mean(1, keepdim=True)).addcmul_(normalized, along, value=-1).mul_(inverse_std)


Critic = TwinCritic | PairOfCritics


def make_critic(config: SACConfig, spaces: Spaces, network: Callable[..., Network],
                generator: torch.Generator) -> Critic:
    """Q networks that give (2, B) values of (B, *obs_shape) observations and (B, A) actions."""
    if is_mlp(config.network, spaces.observation):
        return TwinCritic(spaces, config.hidden_sizes, config.activation, config.layer_norm, generator)
    inputs = ObservationSpec((math.prod(spaces.observation.shape) + spaces.action_dim,))
    return PairOfCritics(network(1, 1.0, inputs), network(1, 1.0, inputs))
