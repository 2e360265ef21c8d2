"""PPO's policies and its value network."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.mlp import MLP, Pullback

Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]  # actions for (B, *obs_shape) obs and noise
LOG_SQRT_2_PI = 0.5 * math.log(2 * math.pi)
LEAST_Z = -12.0  # float32 holds the normal distribution's tail from here on


class CategoricalPolicy(nn.Module):
    """Softmax over `action_dim` choices."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.first_action = spaces.first_action
        self.logits = MLP([spaces.observation.shape[0], *hidden_sizes, spaces.action_dim], activation, 0.01, generator)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 Gumbel noise for a sampler."""
        uniform = torch.rand(*shape, *self.noise_shape, generator=generator)
        return (-(-uniform.clamp_min_(1e-20).log_()).log_()).numpy()

    def sampler(self) -> Sampler:
        """Gives (B,) int64 choices; the largest of logits plus Gumbel noise is distributed as the softmax."""
        logits = self.logits.in_numpy()
        return lambda obs, noise: (logits(obs) + noise).argmax(-1)

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B,) int64 the likeliest choices."""
        return self.logits.in_numpy()(obs).argmax(-1)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """(B,) log-probability of the actions taken, () mean entropy, and the pullback.

        The pullback takes the loss's gradient by each, (B,) and a number. With probabilities p:
        d log p_a / d logits = onehot(a) - p, and dH / d logits = -p (log p + H).
        """
        logits, pullback_logits = self.logits.vjp(obs)
        log_p = torch.log_softmax(logits, -1)
        p, taken = log_p.exp(), actions.unsqueeze(-1)
        entropy = -(p * log_p).sum(-1, keepdim=True)

        def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
            by_log_prob = by_log_prob.unsqueeze(-1)
            by_logits = p * (-by_log_prob - (by_entropy / len(p)) * (log_p + entropy))
            pullback_logits(by_logits.scatter_add_(-1, taken, by_log_prob))

        return log_p.gather(-1, taken).squeeze(-1), entropy.mean(), pullback

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.logits.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B,) int64 choices as the environment counts them."""
        return actions + self.first_action

    def std(self) -> float:
        """There is none: nan."""
        return math.nan


class GaussianPolicy(nn.Module):
    """A normal distribution, clipped to the bounds: mean from a network, log standard deviation as parameters.

    Actions are in the unit of `ActionRange`; what lies beyond the bounds is clipped on its way to the environment.
    How far beyond makes no difference there, so a bound has the probability of its whole tail (Fujita and Maeda 2018,
    arXiv:1802.07564): a mean at a bound has nothing to gain from moving further out, where noise would not be felt.
    """

    _limit: Tensor

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator,
                 log_std_init: float):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.mean = MLP([spaces.observation.shape[0], *hidden_sizes, spaces.action_dim], activation, 0.01, generator)
        self.log_std = nn.Parameter(torch.full((spaces.action_dim,), float(log_std_init)))
        self.range = ActionRange(spaces)
        self.register_buffer("_limit", torch.from_numpy(self.range.limit), persistent=False)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 standard normal noise for a sampler."""
        return torch.randn(*shape, *self.noise_shape, generator=generator).numpy()

    def sampler(self) -> Sampler:
        """Gives (B, A) float32 actions in the network's unit."""
        mean, std = self.mean.in_numpy(), self.log_std.exp().numpy(force=True)
        return lambda obs, noise: mean(obs) + std * noise

    def mode(self, obs: np.ndarray) -> np.ndarray:
        """(B, A) float32 means."""
        return self.mean.in_numpy()(obs)

    def vjp(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Pullback]:
        """(B,) log-probability of the actions taken, () entropy before clipping, and the pullback.

        The pullback takes the loss's gradient by each, (B,) and a number. With z = (action - mean) / std,
        d log p / d mean = z / std, d log p / d log std = z^2 - 1, and dH / d log std = 1. A bound at side s, -1 or 1,
        has p = Phi(x) with x = (s mean - limit) / std, so with m = Phi'(x) / Phi(x)
        d log p / d mean = s m / std and d log p / d log std = -x m.
        """
        mean, pullback_mean = self.mean.vjp(obs)
        log_std = self.log_std
        inverse_std = torch.exp(-log_std)
        z = (actions - mean).mul_(inverse_std)
        side = (actions >= self._limit).float() - (actions <= -self._limit).float()
        beyond = side != 0
        x = (side * mean - self._limit).mul_(inverse_std).clamp_(min=LEAST_Z)
        tail = torch.erfc(x * -math.sqrt(0.5)).mul_(0.5)
        m = torch.exp(-0.5 * x.square() - LOG_SQRT_2_PI).div_(tail)
        log_p = torch.where(beyond, tail.log(), -0.5 * z.square() - log_std - LOG_SQRT_2_PI)

        def pullback(by_log_prob: Tensor, by_entropy: float) -> None:
            by_log_prob = by_log_prob.unsqueeze(-1)
            by_log_std = torch.where(beyond, -x * m, z.square() - 1)
            torch.add(by_log_std.mul_(by_log_prob).sum(0), by_entropy, out=log_std.grad)
            pullback_mean(torch.where(beyond, side * m, z).mul_(by_log_prob).mul_(inverse_std))

        return log_p.sum(-1), (log_std + LOG_SQRT_2_PI + 0.5).sum(), pullback

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.mean.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        return self.range.to_environment(actions)

    def std(self) -> float:
        """Mean standard deviation, in half action ranges."""
        return float(self.log_std.detach().exp().mean())
Policy = CategoricalPolicy | GaussianPolicy


def make_policy(spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator,
                log_std_init: float) -> Policy:
    """The policy for an action space: the one place where it is looked at."""
    if spaces.discrete:
        return CategoricalPolicy(spaces, hidden_sizes, activation, generator)
    return GaussianPolicy(spaces, hidden_sizes, activation, generator, log_std_init)


class ValueNetwork(nn.Module):
    """State value."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.value = MLP([spaces.observation.shape[0], *hidden_sizes, 1], activation, 1.0, generator)

    def forward(self, obs: Tensor) -> Tensor:
        """(B,) values of (B, *obs_shape) observations."""
        return self.value(obs).squeeze(-1)

    def dead_units(self, obs: Tensor) -> float:
        """See MLP."""
        return self.value.dead_units(obs)

    def vjp(self, obs: Tensor) -> tuple[Tensor, Pullback]:
        """(B,) values, and the pullback of the loss's (B,) gradient by them."""
        values, pullback = self.value.vjp(obs)
        return values.squeeze(-1), lambda by_values: pullback(by_values.unsqueeze(-1))
