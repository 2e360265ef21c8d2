"""Episodes that depend on their seed alone, so that a seed and the actions since replay one exactly."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.known.registry import prepare_environment


def episode_seed(seed: int, slot: int, episode: int) -> int:
    """The seed, below 2**31, of the `episode`-th episode of environment `slot` in a run."""
    return int(np.random.SeedSequence([seed, slot, episode]).generate_state(1)[0] >> 1)


def begin_episode(environment: gymnasium.Env, seed: int) -> Any:
    """Begins the episode that `seed` names; returns what `reset` returned."""
    prepare_environment(environment)
    return environment.reset(seed=seed)
