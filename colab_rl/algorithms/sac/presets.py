"""Tuned settings of SAC by environment; what is not named here is the config's default.

They are runs of our own (docs/lab/sac.md).
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # A fall's -100 is clipped, and a crash's: beside the 0.3 of a step's walk it teaches to stand still
    # (docs/lab/sac.md).
    "BipedalWalker-v3": {
        "total_steps": 200_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 128, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.98, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "learning_starts": 5_000, "buffer_size": 500_000, "random_hold": 4,
        "target_entropy": -2, "reward_clip": 10, "policy_average": 0.9, "checkpoint_every": 40, "eval_every": 60,
        "eval_episodes": 10,
    },
    "BipedalWalkerHardcore-v3": {
        "total_steps": 2_000_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 128, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.99, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "learning_starts": 10_000, "buffer_size": 500_000, "random_hold": 4,
        "target_entropy": -2, "reward_clip": 10, "policy_average": 0.9, "checkpoint_every": 40, "eval_every": 400,
    },
    "LunarLanderContinuous-v3": {
        "total_steps": 300_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 256, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.99, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "buffer_size": 500_000, "reward_clip": 10, "checkpoint_every": 100,
        "eval_every": 100,
    },
    "Pendulum-v1": {
        "total_steps": 20_000, "num_envs": 1, "num_steps": 64, "replay_ratio": 1, "hidden_sizes": (64, 64),
        "learning_rate": 1e-3, "learning_starts": 1_000, "buffer_size": 20_000, "checkpoint_every": 50,
        "eval_every": 50,
    },
    "MountainCarContinuous-v0": {
        "total_steps": 20_000, "num_envs": 4, "num_steps": 16, "replay_ratio": 0.5, "hidden_sizes": (64, 64),
        "learning_rate": 1e-3, "tau": 0.01, "learning_starts": 5_000, "random_hold": 20, "buffer_size": 50_000,
        "checkpoint_every": 50, "eval_every": 50,
    },
}
