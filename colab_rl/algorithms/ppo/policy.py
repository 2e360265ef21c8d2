"""PPO's policies, one for each kind of action space, and its value network."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.action_range import ActionRange
from colab_rl.algorithms.base import Act
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Network, Pullback, Sequences, accumulate
from colab_rl.networks.distributions import Categorical, Categoricals, ClippedNormal

Sampler = Callable[[np.ndarray, np.ndarray], np.ndarray]  # actions for (B, *obs_shape) obs and noise
MakeNetwork = Callable[[int, float], Network]  # by the number of its outputs, and their gain at the start


class CategoricalPolicy(nn.Module):
    """Softmax over `action_dim` choices."""

    def __init__(self, spaces: Spaces, network: MakeNetwork):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.first_action = spaces.first_action
        self.logits = network(spaces.action_dim, 0.01)

    def distribution(self, logits: Any) -> Categorical:
        """Of (B, A) outputs."""
        return Categorical(logits)

    def vjp(self, obs: Any) -> tuple[tuple[Tensor], Pullback]:
        """What `distribution` is made of, and the pullback of a loss's gradient by it. See Network."""
        logits, pullback = self.logits.vjp(obs)
        return (logits,), pullback

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 for a sampler."""
        return Categorical.noise((*shape, *self.noise_shape), generator)

    def sampler(self) -> Sampler:
        """Gives (B,) int64 choices, with the parameters of now."""
        logits = self.logits.acting()
        return lambda obs, noise: self.distribution(logits(obs)).sample(noise)

    def mode(self) -> Act:
        """Gives (B,) int64 the likeliest choices, with the parameters of now."""
        logits = self.logits.acting()
        return lambda obs: self.distribution(logits(obs)).mode()

    def dead_units(self, obs: Tensor) -> float | None:
        """See Network."""
        return self.logits.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B,) int64 choices as the environment counts them."""
        return actions + self.first_action

    def std(self) -> float:
        """There is none: nan."""
        return math.nan


class CategoricalsPolicy(CategoricalPolicy):
    """A softmax over each of several lists of choices. Actions are (B, K) int64, each counted from 0."""

    def __init__(self, spaces: Spaces, network: MakeNetwork):
        choices = spaces.choices
        super().__init__(dataclasses.replace(spaces, action_dim=sum(choices)), network)
        self.choices, self.first_choices = choices, np.array(spaces.first_choices)

    def distribution(self, logits: Any) -> Any:
        """Of (B, sum of choices) outputs."""
        return Categoricals(logits, self.choices)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, K) int64 choices as the environment counts them."""
        return actions + self.first_choices


class GaussianPolicy(nn.Module):
    """A normal distribution, clipped to the bounds: mean from a network, log standard deviation as parameters.

    Actions are in the unit of `ActionRange`. What lies beyond the bounds is clipped on its way to the environment.
    """

    _limit: Tensor

    def __init__(self, spaces: Spaces, network: MakeNetwork, log_std_init: float):
        super().__init__()
        self.noise_shape = (spaces.action_dim,)
        self.mean = network(spaces.action_dim, 0.01)
        self.log_std = nn.Parameter(torch.full((spaces.action_dim,), float(log_std_init)))
        self.range = ActionRange(spaces)
        self.register_buffer("_limit", torch.from_numpy(self.range.limit), persistent=False)

    def distribution(self, mean: Tensor, log_std: Tensor) -> ClippedNormal:
        """Of (B, A) outputs and the (A,) parameter."""
        return ClippedNormal(mean, log_std.exp(), self._limit)

    def vjp(self, obs: Any) -> tuple[tuple[Tensor, Tensor], Callable[[Tensor, Tensor], None]]:
        """What `distribution` is made of, and the pullback of a loss's gradient by each. See Network."""
        mean, pullback_mean = self.mean.vjp(obs)

        def pullback(by_mean: Tensor, by_log_std: Tensor) -> None:
            pullback_mean(by_mean)
            accumulate(self.log_std, by_log_std)

        return (mean, self.log_std), pullback

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, A) float32 for a sampler."""
        return ClippedNormal.noise((*shape, *self.noise_shape), generator)

    def sampler(self) -> Sampler:
        """Gives (B, A) float32 actions in the network's unit, with the parameters of now."""
        mean, std = self.mean.acting(), self.log_std.exp().numpy(force=True)
        return lambda obs, noise: ClippedNormal(mean(obs), std, self.range.limit).sample(noise)

    def mode(self) -> Act:
        """Gives (B, A) float32 means, with the parameters of now."""
        return self.mean.acting()

    def dead_units(self, obs: Tensor) -> float | None:
        """See Network."""
        return self.mean.dead_units(obs)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """(B, A) float32 actions clipped to the bounds, in the environment's unit."""
        return self.range.to_environment(actions)

    def std(self) -> float:
        """Mean standard deviation, in half action ranges."""
        return float(self.log_std.detach().exp().mean())


PPOPolicy = CategoricalPolicy | GaussianPolicy


def make_policy(spaces: Spaces, network: MakeNetwork, log_std_init: float) -> PPOPolicy:
    """The policy for an action space: the one place that looks at it."""
    if spaces.choices:
        return CategoricalsPolicy(spaces, network)
    return CategoricalPolicy(spaces, network) if spaces.discrete else GaussianPolicy(spaces, network, log_std_init)


class ValueNetwork(nn.Module):
    """State value."""

    def __init__(self, network: MakeNetwork):
        super().__init__()
        self.value = network(1, 1.0)

    def forward(self, obs: Any) -> Tensor:
        """(B,) values of (B, *obs_shape) observations."""
        return self.value(obs).squeeze(-1)

    def vjp(self, obs: Any) -> tuple[Tensor, Pullback]:
        """(B, 1) values and the pullback. See Network."""
        return self.value.vjp(obs)

    def unroll(self, sequences: Sequences) -> tuple[Tensor, Tensor]:
        """(T, n) values, and the state after the last step. See RecurrentNetwork."""
        network: Any = self.value
        values, state = network.unroll(sequences)
        return values.squeeze(-1), state

    def dead_units(self, obs: Tensor) -> float | None:
        """See Network."""
        return self.value.dead_units(obs)
