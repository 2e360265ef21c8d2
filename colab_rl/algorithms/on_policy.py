"""What algorithms share that learn from their newest steps, and then forget them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colab_rl.algorithms.actor_critic import ActorCritic
from colab_rl.algorithms.normalization import RewardNormalizer
from colab_rl.algorithms.rollout import Rollout, Transitions, generalized_advantages
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError
from colab_rl.machine import check_memory
from colab_rl.networks.base import Network, Remembered, Sequences, state_size_of
from colab_rl.settings import Config, setting


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig(Config):
    """The settings that they share."""

    num_steps: int = setting(512, "steps each environment takes in an iteration", low=2)
    minibatch_size: int = setting(1024, "transitions of one gradient step; with memory those of so many whole "
                                  "environments", low=2)
    gae_lambda: float = setting(0.95, "lambda of generalised advantage estimation", low=0, high=1)
    max_grad_norm: float = setting(0.5, "clip each network's gradient to this norm", above=0)
    normalize_rewards: bool = setting(True, "divide rewards by the running deviation of the discounted return")
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
    trunk: the network that both share, if there is one.
    """

    off_policy = False
    takes_memory = True
    policy: Any
    value: Any
    trunk: Network | None = None

    def __init__(self, config: OnPolicyConfig, spaces: Spaces, device: torch.device):
        super().__init__(config, spaces, device)
        self.reward_normalizer = RewardNormalizer(config.num_envs, config.gamma, config.normalize_rewards)
        self.rollout = Rollout(config.num_steps, config.num_envs, spaces)

    @property
    def memory(self) -> int:
        """See Algorithm."""
        return state_size_of(self.policy)

    @functools.cached_property
    def memories(self) -> dict[str, np.ndarray]:
        """(N, state_size) float32 of the networks with a memory of their own, before the next rollout, by name."""
        networks = {"policy": self.policy} | ({} if self.trunk else {"value": self.value})
        sizes = {name: state_size_of(network) for name, network in networks.items()}
        return {name: np.zeros((self.config.num_envs, size), np.float32) for name, size in sizes.items() if size}

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
        memory = self.memories.get("policy")
        self._memories_before = {name: array.copy() for name, array in self.memories.items()}
        sample = policy.sampler()
        noise = policy.noise(rollout.valid.shape, self.generator)  # of the whole rollout in one call

        def act(t: int, group: slice) -> None:
            rows = normalize(rollout.obs[t, group])
            actions = sample(rows if memory is None else Remembered(rows, memory[group]), noise[t, group])
            rollout.actions[t, group] = actions
            rollout.valid[t, group] = ~envs.ended[group]
            if memory is not None:
                memory[group] *= rollout.valid[t, group, None]  # the next row begins an episode
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
        values = self._values_of(obs).numpy(force=True)
        rewards = self.reward_normalizer(rollout.rewards, rollout.done, rollout.valid)
        advantages = generalized_advantages(rewards, values, rollout.terminated, rollout.done,
                                            config.gamma, config.gae_lambda)
        valid = rollout.valid
        targets = (advantages + values[:-1])[valid]
        unexplained = float(np.var(advantages[valid])) / max(float(np.var(targets)), 1e-12)
        actions, target, advantage = (torch.from_numpy(array).to(self.device)
                                      for array in (rollout.actions[valid], targets, advantages[valid]))
        kept = torch.from_numpy(valid).to(self.device)
        fit = {"value/explained_variance": 1 - unexplained}
        if not self.memories:
            obs = obs[:-1][kept]
            log_probs = torch.cat([self.log_prob(*part) for part in zip(self._parts(obs), self._parts(actions, obs),
                                                                        strict=True)])
            return Transitions(obs, actions, log_probs, advantage, target), fit
        before = {name: torch.from_numpy(array).to(self.device) for name, array in self._memories_before.items()}
        sequences = Sequences(obs[:-1], kept, before["policy"])
        return (Transitions(sequences, actions, self.log_prob(sequences, actions), advantage, target,
                            before.get("value")), fit)

    def log_prob(self, obs: Any, actions: Tensor) -> Tensor:
        """(B,) of the actions, under the policy of now."""
        outputs, _ = self.policy.vjp(obs)
        return self.policy.distribution(*outputs).log_prob(actions)

    def shuffled(self, transitions: Transitions) -> Iterator[Transitions]:
        """The transitions in random order, split into minibatches."""
        if isinstance(transitions.obs, Sequences):
            return self._shuffled_sequences(transitions, transitions.obs)
        order = torch.randperm(len(transitions.obs), generator=self.generator).to(self.device)
        size = self.config.minibatch_size
        if len(order) % size == 1:
            order = order[:-1]  # one row has no standard deviation
        # One gather an epoch, and slices of it, instead of a gather for every minibatch.
        columns: tuple[Any, ...] = transitions[:-1]
        return itertools.starmap(Transitions, zip(*(column[order].split(size) for column in columns), strict=True))

    @torch.inference_mode()
    def values(self, obs: np.ndarray) -> np.ndarray:
        """See Algorithm. The network's unit is the deviation of the discounted return."""
        rows = torch.from_numpy(self.observation_normalizer(obs)).to(self.device)
        if size := state_size_of(self.value):
            parts: Any = [Sequences(rows.unsqueeze(1), torch.ones(len(rows), 1, dtype=torch.bool, device=self.device),
                                    torch.zeros(1, size, device=self.device))]
        else:
            parts = self._parts(rows)
        return torch.cat([self.value(part) for part in parts]).numpy(force=True) * self.reward_normalizer.unit

    def cut_episodes(self) -> None:
        """See Algorithm. Their last values were bootstrapped, as at the end of any rollout."""
        self.episodes.cut()
        self.reward_normalizer.discounted[:] = 0
        for memory in self.memories.values():
            memory[:] = 0

    def state_dict(self) -> dict[str, Any]:
        """See Algorithm."""
        return {**super().state_dict(), "reward_normalizer": self.reward_normalizer.state_dict(),
                **({"memories": self.memories} if self.memories else {})}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        super().load_state_dict(state)
        self.reward_normalizer.load_state_dict(state["reward_normalizer"])
        for name, memory in self.memories.items():
            memory[:] = state["memories"][name]

    def _values_of(self, obs: Tensor) -> Tensor:
        """(T + 1, N) values of the rollout's observations. A memory of the value network's own moves on."""
        if not self.memories:
            return torch.cat([self.value(part) for part in self._parts(obs.flatten(0, 1))]).view(obs.shape[:2])
        before = self._memories_before["policy" if self.trunk else "value"]
        valid, state = (torch.from_numpy(array).to(self.device) for array in (self.rollout.valid, before))
        values, state = self.value.unroll(Sequences(obs[:-1], valid, state))
        if not self.trunk:
            self.memories["value"][:] = state.numpy(force=True)
        last, _ = self.value.unroll(Sequences(obs[-1:], valid[-1:], state))
        return torch.cat([values, last])

    def _parts(self, rows: Tensor, obs: Tensor | None = None) -> tuple[Tensor, ...]:
        """Rows that belong to observations, split: of images no more at once than a gradient step takes."""
        images = (rows if obs is None else obs).dtype == torch.uint8
        return rows.split(self.config.minibatch_size) if images else (rows,)

    def _shuffled_sequences(self, transitions: Transitions, sequences: Sequences) -> Iterator[Transitions]:
        """Minibatches of whole environments: as many as have `minibatch_size` transitions, and one at least."""
        obs, valid, state = sequences
        numbers = torch.empty(valid.shape, dtype=torch.int64, device=self.device)
        numbers[valid] = torch.arange(len(transitions.actions), device=self.device)
        order = torch.randperm(valid.shape[1], generator=self.generator).to(self.device)
        waiting = order[:0]
        for more in order.split(max(1, self.config.minibatch_size // len(valid))):
            envs = torch.cat([waiting, more])
            rows = numbers[:, envs][valid[:, envs]]
            if len(rows) < 2:  # one row has no standard deviation: it waits for the next
                waiting = envs
                continue
            waiting = order[:0]
            value_state = None if transitions.value_state is None else transitions.value_state[envs]
            yield Transitions(Sequences(obs[:, envs], valid[:, envs], state[envs]), transitions.actions[rows],
                              transitions.log_probs[rows], transitions.advantages[rows], transitions.targets[rows],
                              value_state)
