"""What algorithms share that learn from their newest steps, and then forget them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.actor_critic import ActorCritic
from colab_rl.algorithms.normalization import RewardNormalizer
from colab_rl.algorithms.rollout import Rollout, Transitions, generalized_advantages
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError
from colab_rl.machine import check_memory
from colab_rl.settings import Config, setting


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig(Config):
    """The settings that they share."""

    num_steps: int = setting(512, "steps each environment takes in an iteration", low=2)
    minibatch_size: int = setting(1024, "transitions of one gradient step", low=2)
    gae_lambda: float = setting(0.95, "lambda of generalised advantage estimation", low=0, high=1)
    max_grad_norm: float = setting(0.5, "each network's gradient is clipped to this norm", above=0)
    normalize_rewards: bool = setting(True, "rewards over the running deviation of the discounted return")
    log_std_init: float = setting(0.0, "log of the initial standard deviation of continuous actions", low=-5, high=2,
                                  shapes_state=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 8 <= self.num_envs * self.num_steps <= 2**22:
            raise UsageError(f"num_envs * num_steps = {self.num_envs * self.num_steps}: an iteration has between "
                             f"8 and {2**22} transitions")


class OnPolicyAlgorithm(ActorCritic):
    """A subclass makes `policy` and `value` too, and learns in `update` from `transitions`.

    policy: has `vjp` and `distribution` beside what acting takes (ppo/policy.py).
    value: gives (B,) values of (B, *obs_shape) normalised observations.
    """

    off_policy = False
    policy: Any
    value: nn.Module

    def __init__(self, config: OnPolicyConfig, spaces: Spaces, device: torch.device):
        super().__init__(config, spaces, device)
        self.reward_normalizer = RewardNormalizer(config.num_envs, config.gamma, config.normalize_rewards)
        self.rollout = Rollout(config.num_steps, config.num_envs, spaces)

    @classmethod
    def check(cls, config: OnPolicyConfig, spaces: Spaces) -> None:
        """See Algorithm."""
        super().check(config, spaces)
        # The rollout, its normalised observations, their transitions alone, and those shuffled.
        needed = 4 * Rollout.bytes_of(config.num_steps, config.num_envs, spaces)
        check_memory(needed, f"num_envs = {config.num_envs:,} and num_steps = {config.num_steps:,}")

    @torch.inference_mode()
    def collect(self, envs: VectorEnvironment) -> int:
        """Fills the rollout; returns the number of transitions in it."""
        rollout, policy, normalize = self.rollout, self.policy, self.observation_normalizer
        sample = policy.sampler()
        noise = policy.noise(rollout.valid.shape, self.generator)  # of the whole rollout in one call

        def act(t: int, group: slice) -> None:
            actions = sample(normalize(rollout.obs[t, group]), noise[t, group])
            rollout.actions[t, group] = actions
            rollout.valid[t, group] = ~envs.ended[group]
            envs.send(group, policy.to_environment(actions))

        rollout.obs[0] = envs.observations
        for group in envs.groups:
            act(0, group)
        for t in range(self.config.num_steps):
            for group in envs.groups:
                step = envs.receive(group)
                rollout.obs[t + 1, group] = step.observations
                rollout.rewards[t, group] = step.rewards
                rollout.terminated[t, group] = step.terminated
                rollout.truncated[t, group] = step.truncated
                if t + 1 < self.config.num_steps:
                    act(t + 1, group)  # while the other groups step
        self.episodes.update(rollout.rewards, rollout.valid, rollout.done)
        return int(rollout.valid.sum())

    @torch.no_grad()
    def transitions(self) -> tuple[Transitions, dict[str, float]]:
        """The newest rollout's transitions, and how well the values fit."""
        config, rollout = self.config, self.rollout
        obs = torch.from_numpy(self.observation_normalizer(rollout.obs)).to(self.device)
        values = self.value(obs.flatten(0, 1)).view(obs.shape[:2]).numpy(force=True)
        rewards = self.reward_normalizer(rollout.rewards, rollout.done, rollout.valid)
        advantages = generalized_advantages(rewards, values, rollout.terminated, rollout.done,
                                            config.gamma, config.gae_lambda)
        valid = rollout.valid
        targets = (advantages + values[:-1])[valid]
        unexplained = float(np.var(advantages[valid])) / max(float(np.var(targets)), 1e-12)
        actions, target, advantage = (torch.from_numpy(array).to(self.device)
                                      for array in (rollout.actions[valid], targets, advantages[valid]))
        obs = obs[:-1][torch.from_numpy(valid)]
        log_probs = self.log_prob(obs, actions)
        return (Transitions(obs, actions, log_probs, advantage, target),
                {"value/explained_variance": 1 - unexplained})

    def log_prob(self, obs: Tensor, actions: Tensor) -> Tensor:
        """(B,) of the actions, under the policy of now."""
        outputs, _ = self.policy.vjp(obs)
        return self.policy.distribution(*outputs).log_prob(actions)

    def shuffled(self, transitions: Transitions) -> Iterator[Transitions]:
        """The transitions in random order, split into minibatches."""
        order = torch.randperm(len(transitions.obs), generator=self.generator).to(self.device)
        size = self.config.minibatch_size
        if len(order) % size == 1:
            order = order[:-1]  # one row has no standard deviation
        # One gather an epoch, and slices of it, instead of a gather for every minibatch.
        return map(Transitions._make, zip(*(column[order].split(size) for column in transitions), strict=True))

    @torch.inference_mode()
    def values(self, obs: np.ndarray) -> np.ndarray:
        """See Algorithm. The network's unit is the deviation of the discounted return."""
        rows = torch.from_numpy(self.observation_normalizer(obs)).to(self.device)
        return self.value(rows).numpy(force=True) * self.reward_normalizer.unit

    def cut_episodes(self) -> None:
        """See Algorithm. Their last values were bootstrapped, as at the end of any rollout."""
        self.episodes.cut()
        self.reward_normalizer.discounted[:] = 0

    def state_dict(self) -> dict[str, Any]:
        """See Algorithm."""
        return {**super().state_dict(), "reward_normalizer": self.reward_normalizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        super().load_state_dict(state)
        self.reward_normalizer.load_state_dict(state["reward_normalizer"])
