"""What algorithms share that learn from all their past experience, by way of a replay buffer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colab_rl.algorithms.actor_critic import ActorCritic, check_finite
from colab_rl.algorithms.replay import Minibatch, ReplayBuffer
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError
from colab_rl.machine import check_memory
from colab_rl.settings import Config, setting, with_default

BURST_ROWS, BURST_BYTES = 2**15, 2**29  # transitions that are sampled at once, and what their observations take


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(Config):
    """The settings that they share."""

    num_envs: int = with_default(Config, "num_envs", 8)
    hidden_sizes: tuple[int, ...] = with_default(Config, "hidden_sizes", (256, 256))
    activation: str = with_default(Config, "activation", "relu")
    layer_norm: bool = setting(False, "normalise each hidden layer of the Q networks", shapes_state=True)
    normalize_observations: bool = with_default(Config, "normalize_observations", False)
    checkpoint_every: int = with_default(Config, "checkpoint_every", 50)
    eval_every: int = with_default(Config, "eval_every", 50)

    num_steps: int = setting(32, "steps each environment takes in an iteration", low=1)
    minibatch_size: int = setting(256, "transitions of one gradient step", low=1)
    replay_ratio: float = setting(0.5, "gradient steps for each environment step", above=0, high=100)
    buffer_size: int = setting(1_000_000, "how many of the newest transitions to learn from", low=2, high=10**12,
                               shapes_state=True)
    learning_starts: int = setting(10_000, "steps with random actions before learning begins", low=0)
    random_hold: float = setting(1.0, "steps for which a random action is held, on average", low=1)
    reward_clip: float | None = setting(None, "learn from rewards clipped to plus or minus this; scores keep the "
                                        "environment's rewards", above=0)

    @property
    def gradient_steps(self) -> int:
        """Of an iteration."""
        return round(self.replay_ratio * self.num_steps * self.num_envs)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.minibatch_size > self.buffer_size:
            raise UsageError(f"minibatch_size = {self.minibatch_size} is more than the buffer holds "
                             f"(buffer_size = {self.buffer_size})")
        if self.buffer_size < self.num_envs * self.num_steps:
            raise UsageError(f"buffer_size = {self.buffer_size} holds less than an iteration (num_envs * num_steps = "
                             f"{self.num_envs * self.num_steps})")
        if self.gradient_steps < 1:
            raise UsageError(f"replay_ratio * num_steps * num_envs = "
                             f"{self.replay_ratio * self.num_steps * self.num_envs:g}: an iteration has at least one "
                             "gradient step")


def minibatches_at_once(config: OffPolicyConfig, buffer: ReplayBuffer) -> int:
    """How many minibatches are sampled in one call: of images fewer, since they take their memory once more."""
    rows = min(BURST_ROWS, BURST_BYTES // buffer.sample_bytes)
    return max(1, rows // config.minibatch_size)


class OffPolicyAlgorithm(ActorCritic):
    """A subclass makes its networks, and learns from a minibatch in `gradient_step`.

    Its `check` says which actions it can learn: `check_bounded_actions` (action_range.py), or a check of its own.

    steps: transitions collected. gradient_steps: taken.
    """

    off_policy = True
    replay: ReplayBuffer

    def __init__(self, config: OffPolicyConfig, spaces: Spaces, device: torch.device):
        super().__init__(config, spaces, device)
        self.replay = ReplayBuffer(config.buffer_size, config.num_envs, spaces)
        self.steps = 0
        self.gradient_steps = 0
        # Random actions that are being held.
        self._held = torch.from_numpy(np.zeros((config.num_envs, *spaces.action_shape), spaces.action_dtype))

    @classmethod
    def check(cls, config: OffPolicyConfig, spaces: Spaces) -> None:
        """See Algorithm."""
        super().check(config, spaces)
        # Here and not in the config: the message names what cannot be trained at all, if there is that.
        if config.learning_starts >= config.total_steps:
            raise UsageError(f"learning_starts = {config.learning_starts} is after the end (total_steps = "
                             f"{config.total_steps}): nothing would be learned; take more steps, or a smaller "
                             "learning_starts")
        if config.minibatch_size > config.total_steps:
            raise UsageError(f"minibatch_size = {config.minibatch_size} is more than all steps (total_steps = "
                             f"{config.total_steps}): nothing would be learned")
        buffer = ReplayBuffer(config.buffer_size, config.num_envs, spaces)
        burst = min(config.gradient_steps, minibatches_at_once(config, buffer)) * config.minibatch_size
        check_memory(buffer.nbytes + burst * buffer.sample_bytes, f"buffer_size = {config.buffer_size:,}")

    @abstractmethod
    def gradient_step(self, batch: Minibatch) -> dict[str, Tensor]:
        """Learns from B transitions on the device: normalised observations, clipped rewards.

        Returns tensors by name, from which `metrics` makes the metrics.
        """

    def metrics(self, traces: dict[str, Tensor]) -> dict[str, Tensor]:
        """() metrics of G gradient steps, from what each returned: (G, ...) by name. By default the means."""
        return {name: trace.mean() for name, trace in traces.items()}

    def network_metrics(self, batch: Minibatch) -> dict[str, float]:
        """More metrics of the networks of now, on one minibatch."""
        return {}

    @torch.inference_mode()
    def collect(self, envs: VectorEnvironment) -> int:
        """Adds T steps of every environment to the buffer; returns the number of transitions among them."""
        config, replay, normalize = self.config, self.replay, self.observation_normalizer
        shape = (config.num_steps, config.num_envs)
        by_chance = self.steps < config.learning_starts
        # All noise of the iteration in one call.
        noise = self._random_actions(shape) if by_chance else self.policy.noise(shape, self.generator)
        sample = (lambda obs, noise: noise) if by_chance else self.policy.sampler()
        rewards, valid, done = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        observations = envs.observations
        replay.begin(observations)
        for t in range(config.num_steps):
            actions = sample(normalize(observations), noise[t])
            valid[t] = ~envs.ended
            step = envs.step(self.policy.to_environment(actions))
            rewards[t], done[t] = step.rewards, step.terminated | step.truncated
            observations = step.observations
            replay.append(actions, step.rewards, step.terminated, valid[t], observations)
        self.episodes.update(rewards, valid, done)
        taken = int(valid.sum())
        self.steps += taken
        if self.observation_normalizer.enabled:  # or they are copied for nothing
            self.observation_normalizer.update(replay.newest_observations(config.num_steps))
        return taken

    def update(self, progress: float) -> dict[str, float]:
        """The gradient steps of an iteration; see Algorithm."""
        with self.not_recording():
            return self._update(progress)

    def _update(self, progress: float) -> dict[str, float]:
        config = self.config
        metrics = {"replay/transitions": float(self.replay.transitions),
                   "replay/ratio": self.gradient_steps / max(1, self.steps)}
        if self.steps < max(config.learning_starts, config.minibatch_size) or not self.replay.transitions:
            return metrics
        self.begin_update(progress)
        left = config.gradient_steps
        while left:
            groups = min(left, minibatches_at_once(config, self.replay))
            batch = self._sampled(groups)
            traces = self._burst(batch)
            left -= groups
        self.gradient_steps += config.gradient_steps

        found = self.metrics(traces)
        metrics |= dict(zip(found, torch.stack(list(found.values())).tolist(), strict=True))
        metrics |= self.network_metrics(Minibatch(*(column[-1] for column in batch)))
        metrics |= {**self.optimizer_metrics(), "replay/ratio": self.gradient_steps / self.steps}
        check_finite(metrics)
        return metrics

    def cut_episodes(self) -> None:
        """See Algorithm. Their last transitions look on to the observations that were there."""
        self.episodes.cut()
        self.replay.cut()

    def state_dict(self) -> dict[str, Any]:
        """See Algorithm."""
        return {**super().state_dict(), "replay": self.replay.state_dict(), "steps": self.steps,
                "gradient_steps": self.gradient_steps, "held": self._held}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        super().load_state_dict(state)
        self.replay.load_state_dict(state["replay"])
        self.steps, self.gradient_steps, self._held = state["steps"], state["gradient_steps"], state["held"]

    def _random_actions(self, shape: tuple[int, int]) -> np.ndarray:
        """(T, N, *action_shape) uniform actions in the policy's unit, each held for `random_hold` steps on average."""
        spaces = self.spaces
        if spaces.discrete:
            drawn = torch.stack([torch.randint(choices, shape, generator=self.generator)
                                 for choices in spaces.choices or (spaces.action_dim,)], -1)
        else:
            drawn = torch.rand(*shape, spaces.action_dim, generator=self.generator) * 2 - 1
        drawn = drawn.view(*shape, *spaces.action_shape)
        anew = torch.rand(shape, generator=self.generator) < 1 / self.config.random_hold
        for t in range(shape[0]):
            self._held = torch.where(anew[t].view(-1, *[1] * len(spaces.action_shape)), drawn[t], self._held)
            drawn[t] = self._held
        return drawn.numpy()

    def _sampled(self, groups: int) -> Minibatch:
        """Minibatches of normalised observations and clipped rewards, on the device."""
        batch = self.replay.sample(groups, self.config.minibatch_size, self.generator)
        if (limit := self.config.reward_clip) is not None:
            batch.rewards.clamp_(-limit, limit)  # copies: the buffer keeps what came
        if self.observation_normalizer.enabled:
            normalize = self.observation_normalizer
            # Copies, since sums may depend on how memory is aligned: torch's always is, NumPy's is not.
            batch = batch._replace(obs=torch.from_numpy(normalize(batch.obs.numpy())).clone(),
                                   next_obs=torch.from_numpy(normalize(batch.next_obs.numpy())).clone())
        return Minibatch(*(column.to(self.device) for column in batch))

    def _burst(self, batch: Minibatch) -> dict[str, Tensor]:
        """A gradient step on each of G minibatches; what they return, (G, ...) by name."""
        steps = [self.gradient_step(Minibatch(*columns)) for columns in zip(*batch, strict=True)]
        return {name: torch.stack([step[name] for step in steps]) for name in steps[0]}
