"""Networks: an MLP, a policy head for each kind of action space, a value network.

| symbol | meaning |
| --- | --- |
| B | rows of a batch |
| A | `action_dim`: choices of a discrete policy, dimensions of a continuous one |
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.spaces import Spaces

ACTIVATIONS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "elu": nn.ELU, "gelu": nn.GELU, "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU, "selu": nn.SELU, "softplus": nn.Softplus,
}


def mlp(sizes: list[int], activation: str, output_gain: float, generator: torch.Generator) -> nn.Sequential:
    """Linear layers of `sizes` with activations between, initialised orthogonally.

    Hidden layers have gain sqrt(2), biases are 0 (Saxe et al. 2014, arXiv:1312.6120;
    gains as in Andrychowicz et al. 2021, arXiv:2006.05990).
    """
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        last = i == len(sizes) - 2
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out)
        nn.init.orthogonal_(linear.weight, output_gain if last else math.sqrt(2), generator=generator)
        nn.init.zeros_(linear.bias)
        layers += [linear] if last else [linear, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers)


class CategoricalPolicy(nn.Module):
    """Softmax over `action_dim` choices."""

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.first_action = spaces.first_action
        self.logits = mlp([spaces.obs_dim, *hidden_sizes, spaces.action_dim], activation, 0.01, generator)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """(*shape, A) Gumbel noise for `sample`."""
        uniform = torch.rand(*shape, *self.noise_shape, generator=generator)
        return -(-uniform.clamp_min_(1e-20).log_()).log_()

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """(B,) int64 choices; the largest of logits plus Gumbel noise is distributed as the softmax."""
        return (self.logits(obs) + noise).argmax(-1)

    def mode(self, obs: Tensor) -> Tensor:
        """(B,) int64 the likeliest choices."""
        return self.logits(obs).argmax(-1)

    def log_prob_and_entropy(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) log-probability of the actions taken, and (B,) entropy."""
        log_probs = torch.log_softmax(self.logits(obs), -1)
        taken = log_probs.gather(-1, actions.unsqueeze(-1)).squeeze(-1)
        return taken, -(log_probs.exp() * log_probs).sum(-1)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B,) int64 choices as the environment counts them."""
        return actions + self.first_action

    def std(self) -> float:
        """There is none: nan."""
        return math.nan


class GaussianPolicy(nn.Module):
    """A normal distribution: mean from a network, log standard deviation as parameters.

    The network's unit is half of the action range: an action of -1 and 1 is a finite
    bound of the environment, and what lies beyond is clipped on its way there.
    """

    def __init__(self, spaces: Spaces, hidden_sizes: tuple[int, ...], activation: str, generator: torch.Generator,
                 log_std_init: float):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.mean = mlp([spaces.obs_dim, *hidden_sizes, spaces.action_dim], activation, 0.01, generator)
        self.log_std = nn.Parameter(torch.full((spaces.action_dim,), float(log_std_init)))
        self.low, self.high = spaces.action_low, spaces.action_high
        bounded = np.isfinite(spaces.action_low) & np.isfinite(spaces.action_high)
        # Half of each bound, so that the range of the widest finite box does not overflow.
        low, high = np.where(bounded, spaces.action_low, 0) / 2, np.where(bounded, spaces.action_high, 0) / 2
        self.limit = np.where(bounded, 1, np.inf).astype(np.float32)
        self.middle = (high + low).astype(np.float32)
        self.half_range = np.where(bounded, high - low, 1).astype(np.float32)

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        """(*shape, A) standard normal noise for `sample`."""
        return torch.randn(*shape, *self.noise_shape, generator=generator)

    def sample(self, obs: Tensor, noise: Tensor) -> Tensor:
        """(B, A) float32 actions in the network's unit."""
        return torch.addcmul(self.mean(obs), self.log_std.exp(), noise)

    def mode(self, obs: Tensor) -> Tensor:
        """(B, A) float32 means."""
        return self.mean(obs)

    def log_prob_and_entropy(self, obs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """(B,) log-density of the actions taken, and () entropy, the same for every observation."""
        z = (actions - self.mean(obs)) * torch.exp(-self.log_std)
        log_volume = self.log_std.sum() + 0.5 * math.log(2 * math.pi) * len(self.log_std)
        return -0.5 * z.square().sum(-1) - log_volume, log_volume + 0.5 * len(self.log_std)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        return np.clip(np.clip(actions, -self.limit, self.limit) * self.half_range + self.middle, self.low, self.high)

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
        self.value = mlp([spaces.obs_dim, *hidden_sizes, 1], activation, 1.0, generator)

    def forward(self, obs: Tensor) -> Tensor:
        """(B,) values of (B, obs_dim) observations."""
        return self.value(obs).squeeze(-1)
