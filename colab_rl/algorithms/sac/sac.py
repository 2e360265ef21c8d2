"""Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905), with automatic temperature.

An iteration, with T = num_steps and N = num_envs:

1. The policy acts for T steps in N environments, at first by chance; all goes into the replay buffer (`collect`,
   off_policy.py).
2. replay_ratio * T * N gradient steps, each on transitions drawn from all of the buffer (`gradient_step`): both Q
   networks, the policy and the temperature take a step on their loss (loss.py), and the target networks follow the Q
   networks `tau` of the way.
3. With `policy_average`, the averaged policy follows the policy. It acts in evaluations, and collects nothing.

A time limit is no end: the targets look on to its final observation as to any other.
"""

from __future__ import annotations

import copy
import itertools
import math
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from colab_rl.algorithms.action_range import check_bounded_actions
from colab_rl.algorithms.actor_critic import counted
from colab_rl.algorithms.critics import check_own_critic
from colab_rl.algorithms.cuda_graph import CudaGraph
from colab_rl.algorithms.off_policy import OffPolicyAlgorithm
from colab_rl.algorithms.optimizer import ClippedAdam, flattened
from colab_rl.algorithms.replay import Minibatch
from colab_rl.algorithms.sac import fused, loss
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.algorithms.sac.critic import make_critic
from colab_rl.algorithms.sac.policy import SquashedGaussianPolicy
from colab_rl.algorithms.sac.presets import PRESETS
from colab_rl.environments.spaces import Spaces
from colab_rl.networks.base import accumulate

# Multiplications between hidden layers in a minibatch from which `--device auto` takes a GPU: those of 64-64 and 256
# rows. An H100 takes their gradient step in a fifth of the time of a core beside it, and that of 400-300 in a
# sixteenth (docs/results.md). Smaller networks and other GPUs were not measured.
GPU_FROM = 64 * 64 * 256


class Temperature(nn.Module):
    """The logarithm of alpha, the weight of the entropy."""

    def __init__(self, start: float):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.tensor(math.log(start)))


class SAC(OffPolicyAlgorithm):
    """See the module. A subclass changes a loss by overriding the method of its name."""

    name = "sac"
    config_class = SACConfig
    presets = PRESETS
    entropy_bonus = True
    written_out: ClassVar[ModuleType] = fused
    config: SACConfig
    policy: SquashedGaussianPolicy

    def __init__(self, config: SACConfig, spaces: Spaces, device: torch.device):
        super().__init__(config, spaces, device)
        self.policy = SquashedGaussianPolicy(spaces, partial(self.make_network, layer_norm=False)).to(device)
        self.critic = self.make_critic().to(device)
        self.target = self.make_critic().to(device)
        self.target.load_state_dict(self.critic.state_dict())
        self.temperature = Temperature(config.initial_temperature).to(device)
        self.target_entropy = -float(spaces.action_dim) if config.target_entropy is None else config.target_entropy
        self.networks = {"policy": self.policy, "critic": self.critic, "target": self.target,
                         "temperature": self.temperature}
        self.optimizers = {name: ClippedAdam(self.networks[name], config.learning_rate, math.inf)
                           for name in ("policy", "critic", "temperature")}
        self.target_flat = flattened(self.target)
        if config.policy_average:
            self.averaged = copy.deepcopy(self.policy)
            self.averaged_flat = flattened(self.averaged)
            self.networks["averaged"] = self.averaged
        self._fused = self.written_out.applies(self)
        self._graph = CudaGraph(partial(fused.burst, self), [*self.optimizers.values()], self.target_flat) \
            if self._fused and device.type == "cuda" else None

    @classmethod
    def check(cls, config: SACConfig, spaces: Spaces) -> None:  # type: ignore[override]
        """See Algorithm."""
        check_bounded_actions(cls.name, spaces)
        super().check(config, spaces)
        check_own_critic(cls.name, config, spaces)

    @classmethod
    def worth_a_gpu(cls, config: SACConfig) -> bool:
        """See Algorithm. With other losses or networks there is no graph, and a CPU core is as fast as an H100."""
        multiplications = config.minibatch_size * sum(a * b for a, b in itertools.pairwise(config.hidden_sizes))
        return (config.network in ("auto", "mlp") and multiplications >= GPU_FROM
                and cls.written_out.losses_are_ours(cls))

    @property
    def evaluated_policy(self) -> SquashedGaussianPolicy:
        """See ActorCritic. A mean over many iterations falls less often than the policy of one."""
        return self.averaged if self.config.policy_average else self.policy

    def update(self, progress: float) -> dict[str, float]:
        """See Algorithm."""
        metrics = super().update(progress)
        if self.config.policy_average:
            self.averaged_flat.lerp_(self.optimizers["policy"].flat.detach(), 1 - self.config.policy_average)
        return metrics

    def make_critic(self) -> Any:
        """Q networks, of which a run has two: those that learn, and those that follow them."""
        return make_critic(self.config, self.spaces, self.make_network, self.generator)

    def judged(self, values: Tensor) -> Tensor:
        """(..., B) estimates, of the (..., 2, B) values of actions: the smaller. For `values` and a metric alone."""
        return values.amin(-2)

    def soft_targets(self, batch: Minibatch, alpha: Tensor) -> Tensor:
        """(B,) what the Q networks' values should be."""
        distribution, noise = self.policy.distribution(self.policy.mean_and_log_std(batch.next_obs)), self._noise(batch)
        next_values = self.target(batch.next_obs, distribution.sample(noise))
        return loss.soft_targets(batch.rewards, self.config.gamma * ~batch.terminated, next_values,
                                 distribution.log_prob(noise), alpha)

    def critic_loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """() of (2, B) values and (B,) targets."""
        return loss.critic_loss(values, targets)

    def actor_loss(self, log_prob: Tensor, values: Tensor, alpha: Tensor) -> Tensor:
        """() of the (B,) log-density and (2, B) values of actions drawn from the policy."""
        return loss.actor_loss(log_prob, values, alpha)

    def temperature_loss(self, log_prob: Tensor) -> Tensor:
        """() of the (B,) log-density of actions drawn from the policy."""
        return loss.temperature_loss(self.temperature.log_alpha, log_prob, self.target_entropy)

    def gradient_step(self, batch: Minibatch) -> dict[str, Tensor]:
        """See OffPolicyAlgorithm, and the module."""
        log_alpha = self.temperature.log_alpha
        alpha, noise = log_alpha.exp(), self._noise(batch)
        targets = self.soft_targets(batch, alpha)

        values, pullback = self.critic.vjp(batch.obs, batch.actions)
        with torch.enable_grad():
            gradients = torch.autograd.grad(self.critic_loss(values, targets), values)
        pullback(*gradients)
        self.optimizers["critic"].step()

        outputs, pullback = self.policy.vjp(batch.obs)
        with torch.enable_grad():
            distribution = self.policy.distribution(outputs)
            own_values, log_prob = self.critic(batch.obs, distribution.sample(noise)), distribution.log_prob(noise)
            gradients = torch.autograd.grad(self.actor_loss(log_prob, own_values, alpha), outputs)
        pullback(*gradients)
        self.optimizers["policy"].step()

        with torch.enable_grad():
            gradients = torch.autograd.grad(self.temperature_loss(log_prob.detach()), log_alpha)
        accumulate(log_alpha, *gradients)
        self.optimizers["temperature"].step()
        self.target_flat.lerp_(self.optimizers["critic"].flat, self.config.tau)
        return {"values": values.detach(), "targets": targets, "log_probs": log_prob.detach(),
                "own_values": self.judged(own_values.detach())}

    def metrics(self, traces: dict[str, Tensor]) -> dict[str, Tensor]:
        """See OffPolicyAlgorithm. (G, N, B) values of N Q networks, and (G, B) of the rest."""
        values, targets, log_probs, own_values = (traces[name] for name in
                                                  ("values", "targets", "log_probs", "own_values"))
        alpha = self.temperature.log_alpha.exp()
        return {
            "loss/actor": (alpha * log_probs - own_values).mean(),
            "loss/critic": (values - targets.unsqueeze(1)).square().mean(),
            "policy/entropy": -log_probs.mean(), "entropy/temperature": alpha,
            "q/mean": values.mean(), "q/std": values.std(correction=0), "q/max": values.max(),
            "q/spread": (values.amax(1) - values.amin(1)).mean(),
            "q/target": targets.mean(), "q/target_std": targets.std(correction=0), "q/policy": own_values.mean()}

    def network_metrics(self, batch: Minibatch) -> dict[str, float]:
        """See OffPolicyAlgorithm."""
        return {"policy/std": float(self.policy.std(batch.obs)), **counted("policy", self.policy.dead_units(batch.obs)),
                **counted("critic", self.critic.dead_units(batch.obs, batch.actions))}

    @torch.inference_mode()
    def values(self, obs: np.ndarray) -> np.ndarray:
        """See Algorithm: the smaller Q of the deterministic action. Of images, no more at once than in a minibatch."""
        act, size = self.evaluated_policy.mode(), self.config.minibatch_size if obs.dtype == np.uint8 else len(obs)
        found = []
        for first in range(0, len(obs), size):
            rows = self.observation_normalizer(obs[first:first + size])
            actions = torch.from_numpy(act(rows)).to(self.device)
            found.append(self.judged(self.critic(torch.from_numpy(rows).to(self.device), actions)).numpy(force=True))
        return np.concatenate(found)

    def _noise(self, batch: Minibatch) -> Tensor:
        return torch.from_numpy(self.policy.noise(batch.rewards.shape, self.generator)).to(self.device)

    def _burst(self, batch: Minibatch) -> dict[str, Tensor]:
        if not self._fused:
            return super()._burst(batch)
        groups, size = batch.rewards.shape
        noise = torch.from_numpy(self.policy.noise((groups, 2, size), self.generator)).to(self.device)
        return self._graph(*batch, noise) if self._graph else fused.burst(self, *batch, noise)
