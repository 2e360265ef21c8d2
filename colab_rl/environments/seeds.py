"""Episodes that depend on their seed alone, so that a seed and the actions since replay one exactly."""

from __future__ import annotations

import gymnasium
import numpy as np

from colab_rl.environments.known import prepare


def episode_seed(seed: int, slot: int, episode: int) -> int:
    """The seed, below 2**31, of the `episode`-th episode of environment `slot` in a run."""
    return int(np.random.SeedSequence([seed, slot, episode]).generate_state(1)[0] >> 1)


def begin_episode(environment: gymnasium.Env, seed: int) -> np.ndarray:
    """Resets to the first observation of the episode that `seed` names."""
    prepare(environment)
    observation, _ = environment.reset(seed=seed)
    return observation
