"""Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905), with automatic temperature.

An iteration, with T = num_steps and N = num_envs:

1. The policy acts for T steps in N environments, at first by chance; all goes into the replay buffer (`collect`).
2. replay_ratio * T * N gradient steps (`update`), each on transitions (s, a, r, s') drawn from all of the buffer:
   both Q networks on (Q(s, a) - y)^2 with y = r + gamma (min Q'(s', a') - alpha log pi(a'|s')),
   where a' is drawn from the policy and Q' are the slowly following targets;
   the policy on alpha log pi(a|s) - min Q(s, a), with a drawn from it;
   the temperature alpha on -log alpha (log pi(a|s) + target_entropy);
   and the targets take a step `tau` of the way to the Q networks.

A time limit is no end: there, y looks on to the final observation as anywhere else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.base import Algorithm
from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.algorithms.normalization import ObservationNormalizer
from colab_rl.algorithms.optimizer import ClippedAdam, flattened, scheduled
from colab_rl.algorithms.replay import Minibatches, ReplayBuffer
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.algorithms.sac.critic import TwinCritic
from colab_rl.algorithms.sac.policy import SquashedGaussianPolicy
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import Divergence, UsageError
from colab_rl.machine import available_memory

BURST_ROWS = 2**15  # transitions that are sampled at once


class Temperature(nn.Module):
    """The logarithm of alpha, the weight of the entropy."""

    def __init__(self, start: float):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(math.log(start)))


class SAC(Algorithm):
    """Policy, twin Q networks and their targets, temperature, their optimizers, replay buffer and random state."""

    replay: ReplayBuffer

    def __init__(self, config: SACConfig, spaces: Spaces, device: torch.device):
        self.config = config
        self.device = device
        self.generator = torch.Generator().manual_seed(config.seed)
        networks = (spaces, config.hidden_sizes, config.activation)
        self.policy = SquashedGaussianPolicy(*networks, self.generator).to(device)
        self.critic = TwinCritic(*networks, config.layer_norm, self.generator).to(device)
        self.target = TwinCritic(*networks, config.layer_norm, self.generator).to(device)
        self.target.load_state_dict(self.critic.state_dict())
        self.temperature = Temperature(config.initial_temperature).to(device)
        self.target_entropy = -float(spaces.action_dim) if config.target_entropy is None else config.target_entropy
        self.optimizers = {name: ClippedAdam(network, config.learning_rate, math.inf) for name, network in (
            ("policy", self.policy), ("critic", self.critic), ("temperature", self.temperature))}
        self.target_flat = flattened(self.target)
        self.observation_normalizer = ObservationNormalizer(spaces.observation, config.normalize_observations)
        self.episodes = EpisodeTracker(config.num_envs)
        self.replay = ReplayBuffer(config.buffer_size, config.num_envs, spaces)
        self.steps = 0           # transitions collected
        self.gradient_steps = 0  # taken
        self._held = torch.zeros(config.num_envs, spaces.action_dim)  # random actions that are being held

    @staticmethod
    def check(config: SACConfig, spaces: Spaces) -> None:
        """See Algorithm."""
        if spaces.discrete:
            raise UsageError("sac learns continuous actions, and this environment's are discrete: use --algo ppo")
        if not np.isfinite([spaces.action_low, spaces.action_high]).all():
            raise UsageError("sac needs bounded actions, and this environment's have no bounds: use --algo ppo")
        needed, available = ReplayBuffer(config.buffer_size, config.num_envs, spaces).nbytes, available_memory()
        if available is not None and needed > available:
            raise UsageError(f"buffer_size = {config.buffer_size:,} takes {needed / 1e9:,.1f} GB of memory, and "
                             f"{available / 1e9:,.1f} GB are free; nothing was changed; choose a smaller one, or a "
                             "machine with more")

    @torch.inference_mode()
    def collect(self, envs: VectorEnvironment) -> int:
        """Adds T steps of every environment to the buffer; returns the number of transitions among them."""
        config, replay, normalize = self.config, self.replay, self.observation_normalizer
        shape = (config.num_steps, config.num_envs)
        by_chance = self.steps < config.learning_starts
        # All noise of the iteration in one call.
        noise = self._random_actions(shape) if by_chance else self._noise(*shape)
        sample = (lambda obs, noise: noise) if by_chance else self.policy.sampler()
        rewards, valid, done = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        observations = envs.observations
        replay.begin(observations)
        for t in range(config.num_steps):
            actions = sample(normalize(observations), noise[t].numpy())
            valid[t] = ~envs.ended
            step = envs.step(self.policy.to_environment(actions))
            rewards[t], done[t] = step.rewards, step.terminated | step.truncated
            observations = step.observations
            replay.append(actions, step.rewards, step.terminated, valid[t], observations)
        self.episodes.update(rewards, valid, done)
        taken = int(valid.sum())
        self.steps += taken
        self.observation_normalizer.update(replay.newest_observations(config.num_steps))
        return taken

    @torch.inference_mode()
    def update(self, progress: float) -> dict[str, float]:
        """The gradient steps of an iteration; see the module."""
        config = self.config
        metrics = {"replay/transitions": float(self.replay.transitions),
                   "replay/ratio": self.gradient_steps / max(1, self.steps)}
        if self.steps < max(config.learning_starts, config.minibatch_size) or not self.replay.transitions:
            return metrics
        learning_rate = scheduled(config.learning_rate, config.learning_rate_schedule, progress)
        for optimizer in self.optimizers.values():
            optimizer.begin(learning_rate)
        left = config.gradient_steps
        while left:
            groups = min(left, max(1, BURST_ROWS // config.minibatch_size))
            batch = self._sampled(groups)
            traces = self._burst(batch)
            left -= groups
        self.gradient_steps += config.gradient_steps

        metrics |= self._metrics(batch, *traces)
        metrics |= {f"optimizer/{network}/{name}": value for network, optimizer in self.optimizers.items()
                    for name, value in optimizer.metrics().items()}
        metrics |= {"optimizer/learning_rate": learning_rate,
                    "replay/ratio": self.gradient_steps / self.steps}
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise Divergence(f"{broken[0]} is {metrics[broken[0]]}")
        return metrics

    @torch.inference_mode()
    def act(self, obs: np.ndarray, deterministic: bool) -> np.ndarray:
        """See Algorithm."""
        policy, rows = self.policy, self.observation_normalizer(obs)
        actions = policy.mode(rows) if deterministic else policy.sampler()(rows, self._noise(len(rows)).numpy())
        return policy.to_environment(actions)

    @torch.inference_mode()
    def values(self, obs: np.ndarray) -> np.ndarray:
        """See Algorithm: the smaller Q of the deterministic action."""
        rows = self.observation_normalizer(obs)
        actions = self.policy.mode(rows)
        values = self.critic(torch.from_numpy(rows).to(self.device), torch.from_numpy(actions).to(self.device))
        return values.amin(0).numpy(force=True)

    def cut_episodes(self) -> None:
        """See Algorithm. Their last transitions look on to the observations that were there."""
        self.episodes.cut()
        self.replay.cut()

    def state_dict(self) -> dict[str, Any]:
        """See Algorithm."""
        return {
            "policy": self.policy.state_dict(),
            "critic": self.critic.state_dict(),
            "target": self.target.state_dict(),
            "temperature": self.temperature.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "episodes": self.episodes.state_dict(),
            "replay": self.replay.state_dict(),
            "generator": self.generator.get_state(),
            "steps": self.steps, "gradient_steps": self.gradient_steps, "held": self._held,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        for name in ("policy", "critic", "target", "temperature"):
            getattr(self, name).load_state_dict(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])
        self.episodes.load_state_dict(state["episodes"])
        self.replay.load_state_dict(state["replay"])
        self.generator.set_state(state["generator"])
        self.steps, self.gradient_steps, self._held = state["steps"], state["gradient_steps"], state["held"]

    def _noise(self, *shape: int) -> Tensor:
        """(*shape, A) standard normal."""
        return torch.randn(*shape, self.policy.action_dim, generator=self.generator)

    def _random_actions(self, shape: tuple[int, int]) -> Tensor:
        """(T, N, A) uniform actions, each held for `random_hold` steps on average."""
        drawn = torch.rand(*shape, self.policy.action_dim, generator=self.generator) * 2 - 1
        anew = torch.rand(shape, generator=self.generator) < 1 / self.config.random_hold
        for t in range(shape[0]):
            self._held = torch.where(anew[t, :, None], drawn[t], self._held)
            drawn[t] = self._held
        return drawn

    def _sampled(self, groups: int) -> Minibatches:
        """Minibatches of normalised observations and clipped rewards, on the device."""
        batch = self.replay.sample(groups, self.config.minibatch_size, self.generator)
        if (limit := self.config.reward_clip) is not None:
            batch.rewards.clamp_(-limit, limit)  # copies: the buffer keeps what came
        if self.observation_normalizer.enabled:
            normalize = self.observation_normalizer
            # Copies, since sums may depend on how memory is aligned: torch's always is, NumPy's is not.
            batch = batch._replace(obs=torch.from_numpy(normalize(batch.obs.numpy())).clone(),
                                   next_obs=torch.from_numpy(normalize(batch.next_obs.numpy())).clone())
        return Minibatches(*(column.to(self.device) for column in batch))

    def _burst(self, batch: Minibatches) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A gradient step on each of G minibatches of B transitions.

        Returns what the metrics are made of: (G, 2, B) Q values and (G, B) their targets, and (G, B) log-density
        and smaller Q of the policy's own actions. Nothing leaves the device before all steps are taken.
        """
        groups, size = batch.rewards.shape
        noise = self._noise(groups, 2, size).to(self.device)
        values = torch.empty(groups, 2, size, device=self.device)
        targets, log_probs, own_values = torch.empty(3, groups, size, device=self.device)
        discounts = self.config.gamma * ~batch.terminated
        for g in range(groups):
            obs, actions, rewards, _, next_obs = (column[g] for column in batch)
            alpha = self.temperature.log_alpha.exp()
            self._soft_targets(rewards, discounts[g], next_obs, noise[g, 0], alpha, targets[g])
            values[g] = self._critic_gradient(obs, actions, targets[g])
            self.optimizers["critic"].step()
            log_probs[g], own_values[g] = self._policy_gradient(obs, noise[g, 1], alpha)
            self.optimizers["policy"].step()
            self._temperature_gradient(log_probs[g])
            self.optimizers["temperature"].step()
            self.target_flat.lerp_(self.optimizers["critic"].flat, self.config.tau)
        return values, targets, log_probs, own_values

    def _soft_targets(self, rewards: Tensor, discounts: Tensor, next_obs: Tensor, noise: Tensor, alpha: Tensor,
                      out: Tensor) -> None:
        """Fills `out`, (B,), with r + gamma (min Q'(s', a') - alpha log pi(a'|s')).

        discounts: (B,) gamma, 0 where the transition was the last of its episode.
        """
        actions, log_prob = self.policy.sample(next_obs, noise)
        value = self.target(next_obs, actions).amin(0).sub_(log_prob.mul_(alpha))
        torch.addcmul(rewards, discounts, value, out=out)

    def _critic_gradient(self, obs: Tensor, actions: Tensor, target: Tensor) -> Tensor:
        """The gradient of the sum of both Q networks' mean squared errors; returns their (2, B) values."""
        values, pullback = self.critic.vjp(obs, actions)
        pullback((values - target).mul_(2 / len(obs)))
        return values

    def _policy_gradient(self, obs: Tensor, noise: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of mean(alpha log pi - min Q); returns (B,) log-density and smaller Q of the actions drawn."""
        actions, log_prob, pullback = self.policy.vjp(obs, noise)
        values, pullback_values = self.critic.vjp(obs, actions)
        smaller = values[0] <= values[1]
        share = smaller * (-1 / len(obs))
        by_actions = pullback_values(torch.stack([share, -1 / len(obs) - share]), of_actions=True)
        pullback(by_actions, alpha / len(obs))
        return log_prob, torch.where(smaller, values[0], values[1])

    def _temperature_gradient(self, log_prob: Tensor) -> None:
        """The gradient of -log alpha * mean(log pi + target_entropy)."""
        torch.sub(-self.target_entropy, log_prob.mean(), out=self.optimizers["temperature"].gradient[0])

    def _metrics(self, batch: Minibatches, values: Tensor, targets: Tensor, log_probs: Tensor,
                 own_values: Tensor) -> dict[str, float]:
        """Plain numbers of an update, from its last burst."""
        alpha = self.temperature.log_alpha.exp()
        figures = {
            "loss/actor": (alpha * log_probs - own_values).mean(),
            "loss/critic": (values - targets.unsqueeze(1)).square().mean(),
            "policy/entropy": -log_probs.mean(),
            "policy/std": self.policy.std(batch.obs[-1]),
            "entropy/temperature": alpha,
            "q/mean": values.mean(), "q/std": values.std(), "q/max": values.max(),
            "q/spread": (values[:, 0] - values[:, 1]).abs().mean(),
            "q/target": targets.mean(), "q/target_std": targets.std(),
            "q/policy": own_values.mean()}
        metrics = dict(zip(figures, torch.stack(list(figures.values())).tolist(), strict=True))
        metrics["optimizer/policy/dead_units"] = self.policy.dead_units(batch.obs[-1])
        metrics["optimizer/critic/dead_units"] = self.critic.dead_units(batch.obs[-1], batch.actions[-1])
        return metrics
