"""Algorithms: mathematics without files, logging or devices but the tensors'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from colab_rl.algorithms.base import Algorithm
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.environments.spaces import Spaces

if TYPE_CHECKING:
    from colab_rl.settings import Config

ALGORITHMS: dict[str, type[PPO] | type[SAC]] = {"ppo": PPO, "sac": SAC}


def make_algorithm(name: str, config: Config, spaces: Spaces, device: torch.device) -> Algorithm:
    """The algorithm of that name, freshly initialised from `config.seed`."""
    return ALGORITHMS[name](config, spaces, device)  # type: ignore[arg-type]


def check_algorithm(name: str, config: Config, spaces: Spaces) -> None:
    """Raises UsageError where the algorithm cannot learn in these spaces, or not on this machine."""
    ALGORITHMS[name].check(config, spaces)  # type: ignore[arg-type]


__all__ = ["ALGORITHMS", "Algorithm", "check_algorithm", "make_algorithm"]
