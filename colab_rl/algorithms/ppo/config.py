"""The settings of PPO."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.errors import UsageError
from colab_rl.settings import (
    SCHEDULES,
    Config,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class PPOConfig(Config):
    """Proximal Policy Optimization (Schulman et al. 2017, arXiv:1707.06347)."""

    num_steps: int = setting(512, "steps each environment takes in an iteration", low=2)
    minibatch_size: int = setting(1024, "transitions of one gradient step", low=2)
    update_epochs: int = setting(8, "passes over an iteration's transitions", low=1)
    gae_lambda: float = setting(0.95, "lambda of generalised advantage estimation", low=0, high=1)
    clip_range: float = setting(0.2, "how far the probability ratio may leave 1", above=0, high=10)
    ent_coef: float = setting(0.0, "weight of the entropy bonus at the start", low=0)
    ent_coef_schedule: str = setting("constant", "constant, or linear down to 0 at total_steps", choices=SCHEDULES)
    vf_coef: float = setting(0.5, "weight of the value loss", low=0)
    max_grad_norm: float = setting(0.5, "each network's gradient is clipped to this norm", above=0)
    target_kl: float | None = setting(None, "an update ends after the epoch whose KL divergence exceeds it", above=0)
    normalize_rewards: bool = setting(True, "rewards over the running deviation of the discounted return")
    log_std_init: float = setting(0.0, "log of the initial standard deviation of continuous actions",
                                  low=-5, high=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 8 <= self.num_envs * self.num_steps <= 2**22:
            raise UsageError(f"num_envs * num_steps = {self.num_envs * self.num_steps}: an iteration has between "
                             f"8 and {2**22} transitions")
