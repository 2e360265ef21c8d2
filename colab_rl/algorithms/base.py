"""What every algorithm does; the trainer knows no more of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.algorithms.replay import ReplayBuffer
from colab_rl.environments import VectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.settings import Config

Act = Callable[..., np.ndarray]  # (B, ...) actions for (B, *obs_shape) observations; `memory` too if the policy has any


class Algorithm(ABC):
    """A policy, and how it learns. All that changes while training is in `state_dict`.

    It is made as `SomeAlgorithm(config, spaces, device)`, freshly initialised from `config.seed`.

    name: as run.json and `--algo` have it. One of your own is `module:Class` there if a module has it.
    config_class: its settings. presets: the tuned ones by environment id; what they leave out is the default.
    off_policy: whether it learns from a replay buffer too, and not from its newest steps alone.
    entropy_bonus: whether `values` count a bonus for the policy's entropy beside the rewards.
    episodes: returns and lengths of the training episodes.
    takes_memory: whether it can train networks with memory.
    acts_in_numpy: whether `acting` gives a function without torch, which torch's settings do not change.
    replay: past experience, None if the algorithm keeps none. It is part of the state: its SHA-256 is in
        `state_dict`. Its rows never change, so segments beside the state hold it (checkpoints/segments.py). After
        `load_state_dict`, `restore` reads them before training continues.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    presets: ClassVar[Mapping[str, dict[str, Any]]] = {}
    off_policy: ClassVar[bool]
    entropy_bonus: ClassVar[bool] = False
    takes_memory: ClassVar[bool] = False
    episodes: EpisodeTracker
    replay: ReplayBuffer | None = None
    acts_in_numpy: bool = False

    @abstractmethod
    def __init__(self, config: Any, spaces: Spaces, device: torch.device): ...

    @classmethod  # noqa: B027
    def check(cls, config: Any, spaces: Spaces) -> None:
        """Raises UsageError if it cannot learn in these spaces, or this machine lacks what it needs."""

    @property
    def memory(self) -> int:
        """How many numbers its policy carries through an episode, 0 without memory."""
        return 0

    @classmethod
    def worth_a_gpu(cls, config: Any) -> bool:
        """Whether `--device auto` takes a GPU, if there is one: training must have been measured to be faster there."""
        return False

    @abstractmethod
    def collect(self, envs: VectorEnvironment) -> int:
        """Gathers experience, from the present state of `envs` on. Returns the number of steps taken."""

    @abstractmethod
    def update(self, progress: float) -> dict[str, float]:
        """Learns from it; `progress` in [0, 1] is the share of all steps taken. Returns metrics.

        Raises Divergence if a loss or a parameter is not finite.
        """

    @abstractmethod
    def act(self, obs: np.ndarray, deterministic: bool, memory: np.ndarray | None = None) -> np.ndarray:
        """Actions in the environment's unit for (B, *obs_shape) observations.

        Deterministic actions of a row do not depend on the other rows, to the last bit.
        memory: (B, memory) float32 of each row's episode, zeros when it begins; it is overwritten with the next one.
            Given if the policy has memory.
        """

    def acting(self) -> Act:
        """`act`, deterministic, with the parameters of now: the same actions, to the last bit, in less time a call."""
        return partial(self.act, deterministic=True)

    @abstractmethod
    def values(self, obs: np.ndarray) -> np.ndarray:
        """(B,) float32 estimates of the discounted return from (B, *obs_shape) observations.

        In the unit of the environment's rewards. An off-policy algorithm's are of rewards clipped to `reward_clip`.
        With memory, the rows are the observations of one episode, from its first one on.
        """

    def on_cpu(self) -> Algorithm:
        """Itself. If it learns on a GPU, a copy on the CPU: acting and valuing take less time there."""
        return self

    @abstractmethod
    def cut_episodes(self) -> None:
        """The environments begin other episodes before the next `collect`: those that ran never end."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """A nested dict of tensors, arrays and plain values; not copied."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave."""
