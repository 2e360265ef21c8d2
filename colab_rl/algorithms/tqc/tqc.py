"""Truncated Quantile Critics (Kuznetsov et al. 2020, arXiv:2005.04269): SAC with other Q networks.

A Q network of SAC gives the mean of the return. Here each of N gives M quantiles of it (critic.py). The targets are the
quantiles of all N target networks together, without the largest (loss.py): this keeps values from being too high, as
the smaller of two does in SAC, but by a setting of finer steps.

Collecting, the policy, the temperature, the gradient step and the target networks are SAC's (../sac/sac.py).
"""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

from torch import Tensor

from colab_rl.algorithms.replay import Minibatch
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.algorithms.tqc import fused, loss
from colab_rl.algorithms.tqc.config import TQCConfig
from colab_rl.algorithms.tqc.critic import Critic, make_critic
from colab_rl.algorithms.tqc.presets import PRESETS


class TQC(SAC):
    """See the module. A subclass changes a loss by overriding the method of its name."""

    name = "tqc"
    config_class = TQCConfig
    presets = PRESETS
    written_out: ClassVar[ModuleType] = fused
    config: TQCConfig

    @classmethod
    def worth_a_gpu(cls, config: SACConfig) -> bool:
        """See Algorithm. Nobody has measured it."""
        return False

    @property
    def kept_quantiles(self) -> int:
        """K, of the targets."""
        return self.config.critics * (self.config.quantiles - self.config.dropped_quantiles)

    def make_critic(self) -> Critic:
        """See SAC."""
        return make_critic(self.config, self.spaces, self.make_network, self.generator)

    def judged(self, values: Tensor) -> Tensor:
        """(..., B) what the policy is to raise, of the (..., N, M, B) quantiles of its actions: their mean."""
        return values.mean((-3, -2))

    def soft_targets(self, batch: Minibatch, alpha: Tensor) -> Tensor:
        """(K, B) what the quantiles should be those of."""
        distribution, noise = self.policy.distribution(self.policy.mean_and_log_std(batch.next_obs)), self._noise(batch)
        next_quantiles = self.target(batch.next_obs, distribution.sample(noise))
        return loss.soft_targets(batch.rewards, self.config.gamma * ~batch.terminated, next_quantiles,
                                 distribution.log_prob(noise), alpha, self.kept_quantiles)

    def critic_loss(self, values: Tensor, targets: Tensor) -> Tensor:
        """() of (N, M, B) quantiles and (K, B) targets."""
        return loss.critic_loss(values, targets)

    def actor_loss(self, log_prob: Tensor, values: Tensor, alpha: Tensor) -> Tensor:
        """() of the (B,) log-density and (N, M, B) quantiles of actions drawn from the policy."""
        return loss.actor_loss(log_prob, values, alpha)

    def metrics(self, traces: dict[str, Tensor]) -> dict[str, Tensor]:
        """See OffPolicyAlgorithm. (G, N, M, B) quantiles, (G, K, B) targets, and (G, B) of the rest."""
        quantiles, targets = traces["values"], traces["targets"]
        return {
            **super().metrics({**traces, "values": quantiles.mean(2), "targets": targets.mean(1)}),
            "loss/critic": self.critic_loss(quantiles[-1], targets[-1]),
            "q/quantile_std": quantiles.std(2, correction=0).mean()}
