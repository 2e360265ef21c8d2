"""Episodes that depend on their seed alone, so that a seed and the actions since replay one exactly."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


def episode_seed(seed: int, slot: int, episode: int) -> int:
    """The seed, below 2**31, of the `episode`-th episode of environment `slot` in a run."""
    return int(np.random.SeedSequence([seed, slot, episode]).generate_state(1)[0] >> 1)


def begin_episode(environment: gymnasium.Env, seed: int) -> Any:
    """Begins the episode that `seed` names, whatever went before; returns what `reset` returned.

    BipedalWalker keeps its `b2World` over resets, and the contact order in it, so that the
    same seed gives another trajectory on a used environment; a fresh world does not.
    """
    unwrapped: Any = environment.unwrapped
    world = getattr(unwrapped, "world", None)
    if world is not None and type(world).__name__ == "b2World" and hasattr(unwrapped, "_destroy"):
        unwrapped._destroy()
        unwrapped.world = type(world)(gravity=world.gravity)
    return environment.reset(seed=seed)
