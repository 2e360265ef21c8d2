"""The settings of SAC."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.errors import UsageError
from colab_rl.settings import (
    ACTIVATIONS,
    Config,
    setting,
)


@dataclass(frozen=True, kw_only=True)
class SACConfig(Config):
    """Soft Actor-Critic (Haarnoja et al. 2018, arXiv:1812.05905)."""

    num_envs: int = setting(8, "environments stepped together", low=1, high=4096)
    hidden_sizes: tuple[int, ...] = setting((256, 256), "units of each hidden layer, policy and Q networks alike",
                                            low=1, high=8192)
    activation: str = setting("relu", "activation of the hidden layers", choices=ACTIVATIONS)
    normalize_observations: bool = setting(False, "observations less their running mean, over their deviation")
    checkpoint_every: int = setting(50, "iterations between checkpoints", low=1)
    eval_every: int = setting(50, "iterations between evaluations", low=1)

    num_steps: int = setting(32, "steps each environment takes in an iteration", low=1)
    minibatch_size: int = setting(256, "transitions of one gradient step", low=1)
    replay_ratio: float = setting(0.5, "gradient steps for each environment step", above=0, high=100)
    buffer_size: int = setting(1_000_000, "newest transitions that are learned from", low=2, high=10**12)
    learning_starts: int = setting(10_000, "steps with random actions before learning begins", low=0)
    random_hold: float = setting(1.0, "steps for which a random action is held, on average", low=1)
    tau: float = setting(0.005, "how far the target networks follow in a gradient step", above=0, high=1)
    initial_temperature: float = setting(1.0, "weight of the entropy at the start", above=0)
    target_entropy: float | None = setting(None, "entropy that the temperature aims at, in nats; none is minus the "
                                           "number of action dimensions")
    layer_norm: bool = setting(False, "normalises each hidden layer of the Q networks")
    reward_clip: float | None = setting(None, "rewards beyond plus or minus this are learned from as this; scores are "
                                        "the environment's", above=0)

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
        if self.learning_starts >= self.total_steps:
            raise UsageError(f"learning_starts = {self.learning_starts} is after the end (total_steps = "
                             f"{self.total_steps}): nothing would be learned")
        if self.minibatch_size > self.total_steps:
            raise UsageError(f"minibatch_size = {self.minibatch_size} is more than all steps (total_steps = "
                             f"{self.total_steps}): nothing would be learned")
        if self.gradient_steps < 1:
            raise UsageError(f"replay_ratio * num_steps * num_envs = "
                             f"{self.replay_ratio * self.num_steps * self.num_envs:g}: an iteration has at least one "
                             "gradient step")
