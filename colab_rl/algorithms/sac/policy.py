"""What SAC learns with: a squashed normal distribution, and twin Q networks.

Gradients are written out, as in networks.py. B: rows of a batch; A: `action_dim`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.algorithms.ppo.policy import Sampler
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.activations import aten
from colab_rl.networks.mlp import MLP, Pullback

LOG_STD_LOW, LOG_STD_HIGH = -10.0, 2.0  # beyond which it gets no gradient


class SquashedGaussianPolicy(nn.Module):
    """a = tanh(u) with u ~ N(mean, std), both from one network (Haarnoja et al. 2018, arXiv:1812.05905, appendix C).

    Actions in the network's unit lie in (-1, 1), half of the environment's range.
    """

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.action_dim = spaces.action_dim
        self.range = ActionRange(spaces)
        sizes = [spaces.observation.shape[0], *hidden_sizes, 2 * spaces.action_dim]
        self.mean_and_log_std = MLP(sizes, activation, 0.01, generator)

    def sampler(self) -> Sampler:
        """Gives (B, A) float32 actions from (B, A) standard normal noise, in the network's unit."""
        outputs = self.mean_and_log_std.in_numpy()

        def sample(obs: np.ndarray, noise: np.ndarray) -> np.ndarray:
            mean, log_std = np.split(outputs(obs), 2, axis=-1)
            return np.tanh(mean + np.exp(np.minimum(np.maximum(log_std, LOG_STD_LOW), LOG_STD_HIGH)) * noise)

        return sample

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions, tanh of the means."""
        return np.tanh(self.mean_and_log_std.in_numpy()(obs)[:, :self.action_dim])

    def sample(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(B, A) actions from (B, A) standard normal noise, and (B,) their log-density."""
        mean, log_std = self.mean_and_log_std(obs).split(self.action_dim, -1)
        return _squashed(mean, log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH), noise)

    def vjp(self, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """`sample`, and the pullback of the loss's gradient by actions and log-density.

        The pullback takes (B, A) and a tensor that broadcasts to (B, 1). With u = mean + std * noise:
        da / du = 1 - a^2, d log p / du = 2 a, and d log p / d log std = -1 beside what goes through u.
        """
        output, pullback_output = self.mean_and_log_std.vjp(obs)
        mean, unclamped = output.split(self.action_dim, -1)
        log_std = unclamped.clamp(LOG_STD_LOW, LOG_STD_HIGH)
        actions, log_prob = _squashed(mean, log_std, noise)

        def pullback(by_actions: Tensor, by_log_prob: Tensor) -> None:
            by_u = aten.tanh_backward(by_actions, actions).addcmul_(actions, by_log_prob, value=2)
            by_log_std = (by_u * noise).mul_(log_std.exp()).sub_(by_log_prob).mul_(log_std == unclamped)
            pullback_output(torch.cat([by_u, by_log_std], -1))

        return actions, log_prob, pullback

    def std(self, obs: Tensor) -> Tensor:
        """() mean standard deviation before tanh, in half action ranges."""
        log_std = self.mean_and_log_std(obs)[..., self.action_dim:]
        return log_std.clamp(LOG_STD_LOW, LOG_STD_HIGH).exp().mean()

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.mean_and_log_std.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions in the environment's unit."""
        return self.range.to_environment(actions)


def _squashed(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions and their log-density, which is log N(u) - sum log(1 - tanh(u)^2).

    The last term as 2 (log 2 - u - softplus(-2 u)), which is finite for every u.
    """
    u = torch.addcmul(mean, log_std.exp(), noise)
    log_volume = functional.softplus(u * -2).add_(u).mul_(2).sub_(log_std).sub_(noise.square(), alpha=0.5)
    constant = mean.shape[-1] * (2 * math.log(2) + 0.5 * math.log(2 * math.pi))
    return torch.tanh(u), log_volume.sum(-1) - constant


