"""SAC's policy: a squashed normal distribution."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.algorithms.base import Act
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Network, Pullback
from colab_rl.networks.distributions import SquashedNormal

LOG_STD_LOW, LOG_STD_HIGH = -10.0, 2.0  # beyond which it gets no gradient


class SquashedGaussianPolicy(nn.Module):
    """Mean and log standard deviation from one network (Haarnoja et al. 2018, arXiv:1812.05905).

    Actions in the policy's unit lie in (-1, 1), which stands for the whole of the environment's range.
    """

    def __init__(self, spaces: Spaces, network: Callable[[int, float], Network]):
        super().__init__()
        self.action_dim = spaces.action_dim
        self.range = ActionRange(spaces)
        self.mean_and_log_std = network(2 * spaces.action_dim, 0.01)

    def distribution(self, outputs: Tensor) -> SquashedNormal:
        """Of (B, 2 A) outputs."""
        mean, log_std = outputs.split(self.action_dim, -1)
        return SquashedNormal(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH).exp())

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """(B, 2 A) outputs and the pullback. See Network."""
        return self.mean_and_log_std.vjp(obs)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 for a sampler."""
        return SquashedNormal.noise((*shape, self.action_dim), generator)

    def sampler(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Gives (B, A) float32 actions for observations and noise, with the parameters of now."""
        outputs = self.mean_and_log_std.acting()

        def sample(obs: np.ndarray, noise: np.ndarray) -> np.ndarray:
            mean, log_std = np.split(outputs(obs), 2, axis=-1)
            # Not np.clip: it takes four times as long for a few numbers.
            std = np.exp(np.minimum(np.maximum(log_std, LOG_STD_LOW), LOG_STD_HIGH))
            return SquashedNormal(mean, std).sample(noise)

        return sample

    def mode(self) -> Act:
        """Gives (B, A) float32 actions of the means, with the parameters of now."""
        outputs = self.mean_and_log_std.acting()
        return lambda obs: np.tanh(outputs(obs)[:, :self.action_dim])

    def std(self, obs: Tensor) -> Tensor:
        """() mean standard deviation before tanh, in half action ranges."""
        return self.distribution(self.mean_and_log_std(obs)).std.mean()

    def dead_units(self, obs: Tensor) -> float | None:
        """See Network."""
        return self.mean_and_log_std.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions in the environment's unit."""
        return self.range.to_environment(actions)
