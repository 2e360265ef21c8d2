"""Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347), clipped objective.

An iteration, with T = num_steps and N = num_envs:

1. The policy acts for T steps in N environments (`collect`).
2. Advantages by GAE; the value's target is advantage plus value.
3. `update_epochs` passes over the T * N transitions in shuffled minibatches, each a step on
   L = -min(r A, clip(r, 1 - c, 1 + c) A) + vf_coef (V - target)^2 - ent_coef H,
   where r is the new over the old probability of the action taken (`update`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from colab_rl.algorithms.base import Algorithm
from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.algorithms.normalization import ObservationNormalizer, RewardNormalizer
from colab_rl.algorithms.optimizer import ClippedAdam, scheduled
from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.ppo.policy import ValueNetwork, make_policy
from colab_rl.algorithms.ppo.rollout import Rollout, generalized_advantages
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import Divergence

DEAD_UNIT_ROWS = 512  # observations over which a unit has to vary


class PPO(Algorithm):
    """Policy, value network, their optimizers, the normalisers and the random state."""

    def __init__(self, config: PPOConfig, spaces: Spaces, device: torch.device):
        self.config = config
        self.device = device
        self.generator = torch.Generator().manual_seed(config.seed)
        networks = (spaces, config.hidden_sizes, config.activation, self.generator)
        self.policy = make_policy(*networks, config.log_std_init).to(device)
        self.value = ValueNetwork(*networks).to(device)
        self.optimizers = {name: ClippedAdam(network, config.learning_rate, config.max_grad_norm)
                           for name, network in (("policy", self.policy), ("value", self.value))}
        self.observation_normalizer = ObservationNormalizer(spaces.observation, config.normalize_observations)
        self.reward_normalizer = RewardNormalizer(config.num_envs, config.gamma, config.normalize_rewards)
        self.episodes = EpisodeTracker(config.num_envs)
        self.rollout = Rollout(config.num_steps, config.num_envs, spaces)

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

    @torch.inference_mode()
    def update(self, progress: float) -> dict[str, float]:
        """One PPO update; see the module."""
        config, rollout = self.config, self.rollout
        learning_rate = scheduled(config.learning_rate, config.learning_rate_schedule, progress)
        ent_coef = scheduled(config.ent_coef, config.ent_coef_schedule, progress)
        for optimizer in self.optimizers.values():
            optimizer.begin(learning_rate)
        transitions, value_metrics = self._transitions()
        sums, value_losses = torch.zeros(4, device=self.device), []
        for _ in range(config.update_epochs):
            obs, actions, old_log_prob, advantage, target = self._shuffled(transitions)
            means = self._policy_epoch(obs, actions, old_log_prob, advantage, ent_coef)
            value_losses.append(self._value_epoch(obs, target))
            sums += means
            if config.target_kl is not None and float(means[2]) > config.target_kl:
                break
        self.observation_normalizer.update(rollout.obs[:-1][rollout.valid])
        rows = transitions[0][::max(1, len(transitions[0]) // DEAD_UNIT_ROWS)]

        epochs = len(value_losses)
        names = ("loss/policy", "policy/entropy", "policy/approx_kl", "policy/clip_fraction")
        metrics = dict(zip(names, (sums / epochs).tolist(), strict=True))
        metrics |= {"loss/value": float(torch.stack(value_losses).mean()), **value_metrics}
        metrics |= {f"optimizer/{network}/{name}": value for network, optimizer in self.optimizers.items()
                    for name, value in optimizer.metrics().items()}
        metrics |= {f"optimizer/{name}/dead_units": network.dead_units(rows)
                    for name, network in (("policy", self.policy), ("value", self.value))}
        metrics |= {"policy/std": self.policy.std(), "policy/epochs": float(epochs),
                    "optimizer/learning_rate": learning_rate}
        broken = [name for name, value in metrics.items() if not np.isfinite(value) and name != "policy/std"]
        if broken:
            raise Divergence(f"{broken[0]} is {metrics[broken[0]]}")
        return metrics

    @torch.inference_mode()
    def act(self, obs: np.ndarray, deterministic: bool) -> np.ndarray:
        """See Algorithm."""
        policy, rows = self.policy, self.observation_normalizer(obs)
        if deterministic:
            actions = policy.mode(rows)
        else:
            actions = policy.sampler()(rows, policy.noise((len(rows),), self.generator))
        return policy.to_environment(actions)

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
        return {
            "policy": self.policy.state_dict(),
            "value": self.value.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "reward_normalizer": self.reward_normalizer.state_dict(),
            "episodes": self.episodes.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        self.policy.load_state_dict(state["policy"])
        self.value.load_state_dict(state["value"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])
        self.reward_normalizer.load_state_dict(state["reward_normalizer"])
        self.episodes.load_state_dict(state["episodes"])
        self.generator.set_state(state["generator"])

    @torch.no_grad()
    def _transitions(self) -> tuple[list[Tensor], dict[str, float]]:
        """The rollout as B = T * N transitions, less the rows that only reset.

        (B, *obs_shape) normalised obs, (B, ...) actions, and (B,) log-probabilities under the
        policy that took them, advantages and value targets; and how well the values fit.
        """
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
        old_log_prob, _, _ = self.policy.vjp(obs, actions)
        return [obs, actions, old_log_prob, advantage, target], {"value/explained_variance": 1 - unexplained}

    def _shuffled(self, transitions: list[Tensor]) -> list[tuple[Tensor, ...]]:
        """Each of the transitions' tensors, shuffled and split into minibatches."""
        order = torch.randperm(len(transitions[0]), generator=self.generator).to(self.device)
        size = self.config.minibatch_size
        if len(order) % size == 1:
            order = order[:-1]  # one row has no standard deviation
        # One gather an epoch, and slices of it, instead of a gather for every minibatch.
        return [tensor[order].split(size) for tensor in transitions]

    def _policy_epoch(self, obs: tuple[Tensor, ...], actions: tuple[Tensor, ...], old_log_prob: tuple[Tensor, ...],
                      advantage: tuple[Tensor, ...], ent_coef: float) -> Tensor:
        """A step on each minibatch; (4,) means of loss, entropy, approximate KL and the share of clipped ratios."""
        # What the metrics are made of is kept in two arrays: means once an epoch, not once a step.
        sizes = [len(minibatch) for minibatch in obs]
        log_ratios, objectives = torch.empty((2, sum(sizes)), device=self.device)
        entropies = []
        columns = (obs, actions, old_log_prob, advantage, log_ratios.split(sizes), objectives.split(sizes))
        for minibatch in zip(*columns, strict=True):
            entropies.append(self._policy_gradient(ent_coef, *minibatch))
            self.optimizers["policy"].step()
        ratios = log_ratios.exp()
        return torch.stack([
            -objectives.mean(), torch.stack(entropies).mean(),
            ((ratios - 1) - log_ratios).mean(),  # k3 of Schulman, joschu.net/blog/kl-approx.html
            ((ratios - 1).abs() > self.config.clip_range).float().mean()])

    def _policy_gradient(self, ent_coef: float, obs: Tensor, actions: Tensor, old_log_prob: Tensor,
                         advantage: Tensor, log_ratio: Tensor, objective: Tensor) -> Tensor:
        """The gradient of the clipped objective of a minibatch; fills log_ratio and objective, returns the entropy."""
        clip_range = self.config.clip_range
        log_prob, entropy, pullback = self.policy.vjp(obs, actions)
        std, mean = torch.std_mean(advantage)
        advantage = (advantage - mean).div_(std + 1e-8)
        ratio = torch.sub(log_prob, old_log_prob, out=log_ratio).exp()
        unclipped = ratio * advantage
        clipped = ratio.clamp_(1 - clip_range, 1 + clip_range).mul_(advantage)
        torch.minimum(unclipped, clipped, out=objective)
        # The gradient of r A by log r is r A itself; where the clipped one is the smaller, it is 0.
        by_log_prob = torch.where(unclipped <= clipped, unclipped, 0).mul_(-1 / len(obs))
        pullback(by_log_prob, -ent_coef)
        return entropy

    def _value_epoch(self, obs: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
        """A step on each minibatch; () mean of the loss, less its coefficient."""
        losses = []
        for minibatch in zip(obs, target, strict=True):
            losses.append(self._value_gradient(*minibatch))
            self.optimizers["value"].step()
        return torch.stack(losses).mean()

    def _value_gradient(self, obs: Tensor, target: Tensor) -> Tensor:
        """The gradient of the value loss of a minibatch; returns the loss, less its coefficient."""
        value, pullback = self.value.vjp(obs)
        error = value - target
        pullback(error * (2 * self.config.vf_coef / len(obs)))
        return error.square().mean()
