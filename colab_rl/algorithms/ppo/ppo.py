"""Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347), clipped objective.

An iteration, with T = num_steps and N = num_envs:

1. The policy acts for T steps in N environments (`collect`, on_policy.py).
2. Advantages by GAE; a value's target is advantage plus value (`transitions`, on_policy.py).
3. `update_epochs` passes over the T * N transitions in shuffled minibatches, each a step of the policy and of the value
   network on its loss (loss.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from colab_rl.algorithms.actor_critic import check_finite, counted
from colab_rl.algorithms.on_policy import OnPolicyAlgorithm
from colab_rl.algorithms.optimizer import ClippedAdam, scheduled
from colab_rl.algorithms.ppo import fused, loss
from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.ppo.loss import Distribution, Metrics
from colab_rl.algorithms.ppo.policy import PPOPolicy, ValueNetwork, make_policy
from colab_rl.algorithms.ppo.presets import PRESETS
from colab_rl.algorithms.rollout import Transitions
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import Network
from colab_rl.networks.shared import Head, OnePass

DEAD_UNIT_ROWS = 512  # observations over which a unit has to vary


class PPO(OnPolicyAlgorithm):
    """See the module. A subclass changes a loss by overriding `policy_loss` or `value_loss`."""

    name = "ppo"
    config_class = PPOConfig
    presets = PRESETS
    config: PPOConfig
    policy: PPOPolicy
    value: ValueNetwork
    ent_coef: float  # of this update

    def __init__(self, config: PPOConfig, spaces: Spaces, device: torch.device):
        super().__init__(config, spaces, device)
        share = config.shared_trunk
        self.policy = make_policy(spaces, self._make_trunk if share else self.make_network,
                                  config.log_std_init).to(device)
        self.value = ValueNetwork(self._value_head if share else self.make_network).to(device)
        self.networks = {"policy": self.policy} if share else {"policy": self.policy, "value": self.value}
        self.optimizers = {name: ClippedAdam(network, config.learning_rate, config.max_grad_norm)
                           for name, network in self.networks.items()}
        self._fused = fused.applies(self)

    def _make_trunk(self, outputs: int, gain: float) -> Network:
        """Makes the network that policy and value share, whose last output is the value; the policy's outputs of it."""
        self.trunk = self.make_network(outputs + 1, [*[gain] * outputs, 1.0])
        return Head(self.trunk, slice(0, outputs))

    def _value_head(self, outputs: int, _gain: float) -> Network:
        return Head(self.trunk, slice(-outputs, None))

    def policy_loss(self, distribution: Distribution, batch: Transitions) -> tuple[Tensor, Metrics]:
        """() loss of the policy, and metrics. It is differentiated by what `distribution` is made of."""
        return loss.policy_loss(distribution, batch, self.config.clip_range, self.ent_coef)

    def value_loss(self, values: Tensor, batch: Transitions) -> tuple[Tensor, Metrics]:
        """() loss of (B,) values, and metrics."""
        return loss.value_loss(values, batch, self.config.vf_coef)

    def log_prob(self, obs: Any, actions: Tensor) -> Tensor:
        """See OnPolicyAlgorithm."""
        return fused.log_prob(self.policy, obs, actions) if self._fused else super().log_prob(obs, actions)

    def update(self, progress: float) -> dict[str, float]:
        """See Algorithm, and the module."""
        with self.not_recording():
            return self._update(progress)

    def _update(self, progress: float) -> dict[str, float]:
        config = self.config
        self.begin_update(progress)
        self.ent_coef = scheduled(config.ent_coef, config.ent_coef_schedule, progress)
        transitions, fit = self.transitions()
        epochs: list[Metrics] = []
        for _ in range(config.update_epochs):
            epochs.append(self._epoch(list(self.shuffled(transitions))))
            if config.target_kl is not None and float(epochs[-1]["policy/approx_kl"]) > config.target_kl:
                break
        if self.observation_normalizer.enabled:  # or they are copied for nothing
            self.observation_normalizer.update(self.rollout.obs[:-1][self.rollout.valid])
        means = torch.stack([torch.stack(list(epoch.values())) for epoch in epochs]).mean(0)
        rows = transitions.rows[::max(1, len(transitions.rows) // DEAD_UNIT_ROWS)]
        metrics = {**dict(zip(epochs[0], means.tolist(), strict=True)), **fit, **self.optimizer_metrics(),
                   **counted("policy", self.policy.dead_units(rows)), **counted("value", self.value.dead_units(rows)),
                   "policy/std": self.policy.std(), "policy/epochs": float(len(epochs))}
        check_finite(metrics, "policy/std")
        return metrics

    def _epoch(self, minibatches: Sequence[Transitions]) -> Metrics:
        """A step of both networks on each minibatch, or of the one that they share on the sum of both losses; the
        metrics' means.
        """
        if self._fused:
            return fused.epoch(self, minibatches, self.config.clip_range, self.ent_coef, self.config.vf_coef)
        found: list[Metrics] = []
        for batch in minibatches:
            trunk = OnePass(self.trunk, batch.obs) if self.trunk else None
            outputs, pullback = self.policy.vjp(trunk or batch.obs)
            with torch.enable_grad():
                objective, metrics = self.policy_loss(self.policy.distribution(*outputs), batch)
                gradients = torch.autograd.grad(objective, outputs)
            pullback(*gradients)
            if not trunk:
                self.optimizers["policy"].step()

            values, pullback_values = self.value.vjp(trunk or batch.value_obs)
            with torch.enable_grad():
                objective, more = self.value_loss(values.squeeze(-1), batch)
                gradients = torch.autograd.grad(objective, values)
            pullback_values(*gradients)
            if trunk:
                trunk.pullback()
            self.optimizers["policy" if trunk else "value"].step()
            found.append({**metrics, **more})
        return {name: torch.stack([torch.as_tensor(each[name]).detach() for each in found]).mean() for name in found[0]}
