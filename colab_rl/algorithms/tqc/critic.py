"""TQC's Q networks, which give quantiles of the return."""

from __future__ import annotations

from collections.abc import Callable

import torch

from colab_rl.algorithms.critics import BatchedCritics, SeparateCritics
from colab_rl.algorithms.tqc.config import TQCConfig
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Network
from colab_rl.networks.registry import is_mlp

Critic = BatchedCritics | SeparateCritics


def make_critic(config: TQCConfig, spaces: Spaces, network: Callable[..., Network],
                generator: torch.Generator) -> Critic:
    """N Q networks that give (N, M, B) quantiles for (B, *obs_shape) observations and (B, A) actions."""
    if is_mlp(config.network, spaces.observation):
        return BatchedCritics(spaces, config.critics, config.quantiles, config.hidden_sizes, config.activation,
                              config.layer_norm, generator)
    return SeparateCritics(config.critics, config.quantiles, config, spaces, network)
