"""SAC's twin Q networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from colab_rl.algorithms.critics import BatchedCritics, SeparateCritics
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Network, Pullback, recorded
from colab_rl.networks.registry import is_mlp


class PairOfCritics(nn.Module):
    """Two networks of any kind."""

    def __init__(self, config: SACConfig, spaces: Spaces, network: Callable[..., Network]):
        super().__init__()
        self.pair = SeparateCritics(2, 1, config, spaces, network)

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(2, B) values."""
        return self.pair(obs, actions).squeeze(1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Pullback]:
        """See Network."""
        return recorded(self, obs, actions)

    def dead_units(self, obs: Tensor, actions: Tensor) -> None:
        """See Network."""


class TwinCritic(BatchedCritics):
    """Two Q networks side by side, which give one value each."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, layer_norm: bool,
                 generator: torch.Generator):
        super().__init__(spaces, 2, 1, hidden_sizes, activation, layer_norm, generator)

    def forward(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(2, B) values of (B, *obs_shape) observations and (B, A) actions."""
        return super().forward(obs, actions).squeeze(1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        """See BatchedCritics, of (2, B) values."""
        outputs, pullback = super().vjp(obs, actions)
        return (outputs.squeeze(1).requires_grad_(),
                lambda by_values, of_actions=False: pullback(by_values.unsqueeze(1), of_actions))


Critic = TwinCritic | PairOfCritics


def make_critic(config: SACConfig, spaces: Spaces, network: Callable[..., Network],
                generator: torch.Generator) -> Critic:
    """Q networks that give (2, B) values of (B, *obs_shape) observations and (B, A) actions."""
    if is_mlp(config.network, spaces.observation):
        return TwinCritic(spaces, config.hidden_sizes, config.activation, config.layer_norm, generator)
    return PairOfCritics(config, spaces, network)
