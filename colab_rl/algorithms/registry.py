"""The algorithms there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.errors import UsageError, nearest
from colab_rl.settings import (
    Config,
)

CONFIGS: dict[str, type[Config]] = {"ppo": PPOConfig, "sac": SACConfig}


def config_class(algorithm: str) -> type[Config]:
    """The config dataclass of an algorithm. Raises UsageError for an unknown one."""
    if algorithm not in CONFIGS:
        raise UsageError(f"unknown algorithm {algorithm!r}{nearest(algorithm, CONFIGS)} "
                         f"(there is: {', '.join(CONFIGS)})")
    return CONFIGS[algorithm]


def make_config(algorithm: str, settings: Mapping[str, Any]) -> Config:
    """A checked config. Raises UsageError that names the nearest settings where one is unknown."""
    kind = config_class(algorithm)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in settings:
        if name not in names:
            raise UsageError(f"unknown setting {name!r} of {algorithm}{nearest(name, names)} "
                             f"(all of them: python -m colab_rl presets)")
    return kind(**settings)
