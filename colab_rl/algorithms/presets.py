"""Tuned settings by environment and algorithm; what is not named here is the config's default.

Where they come from: rl-baselines3-zoo's hyperparameters as a start, larger minibatches
and more environments for two CPU cores, then runs of our own (docs/results.md).
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("BipedalWalker-v3", "ppo"): {
        "total_steps": 1_750_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 512, "update_epochs": 6,
        "gamma": 0.98, "learning_rate": 1e-3, "learning_rate_schedule": "linear", "ent_coef": 0.001,
        "ent_coef_schedule": "linear", "activation": "relu", "checkpoint_every": 50, "eval_every": 125,
        "eval_episodes": 7,
    },
    ("BipedalWalkerHardcore-v3", "ppo"): {
        "total_steps": 20_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 1024, "update_epochs": 8,
        "gamma": 0.99, "learning_rate": 5e-4, "learning_rate_schedule": "linear", "ent_coef": 0.001,
        "ent_coef_schedule": "linear", "hidden_sizes": (128, 128), "checkpoint_every": 25, "eval_every": 100,
    },
    ("LunarLander-v3", "ppo"): {
        "total_steps": 1_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 256, "update_epochs": 8,
        "gamma": 0.999, "gae_lambda": 0.98, "ent_coef": 0.01, "learning_rate": 1e-3,
        "learning_rate_schedule": "linear", "checkpoint_every": 30, "eval_every": 60,
    },
    ("LunarLanderContinuous-v3", "ppo"): {
        "total_steps": 1_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 256, "update_epochs": 8,
        "gamma": 0.999, "gae_lambda": 0.98, "ent_coef": 0.01, "learning_rate": 1e-3,
        "learning_rate_schedule": "linear", "checkpoint_every": 30, "eval_every": 60,
    },
    ("CartPole-v1", "ppo"): {
        "total_steps": 100_000, "num_envs": 8, "num_steps": 128, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.98, "gae_lambda": 0.8, "learning_rate": 1e-3, "learning_rate_schedule": "linear",
        "checkpoint_every": 20, "eval_every": 20,
    },
    ("Pendulum-v1", "ppo"): {
        "total_steps": 200_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.9, "gae_lambda": 0.95, "learning_rate": 1e-3, "checkpoint_every": 10, "eval_every": 10,
    },
    ("Acrobot-v1", "ppo"): {
        "total_steps": 500_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 512, "update_epochs": 4,
        "gae_lambda": 0.94, "checkpoint_every": 20, "eval_every": 20,
    },
    ("MountainCarContinuous-v0", "ppo"): {
        "total_steps": 200_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.9999, "gae_lambda": 0.9, "ent_coef": 0.01, "log_std_init": 0.5,
        "checkpoint_every": 10, "eval_every": 10,
    },
    # A fall's -100 is clipped, and a crash's: beside the 0.3 of a step's walk it teaches to stand still
    # (docs/results.md).
    ("BipedalWalker-v3", "sac"): {
        "total_steps": 400_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 256, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.98, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "buffer_size": 500_000, "random_hold": 4, "target_entropy": -2,
        "reward_clip": 10, "checkpoint_every": 40, "eval_every": 200,
    },
    ("BipedalWalkerHardcore-v3", "sac"): {
        "total_steps": 1_000_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 256, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.99, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "buffer_size": 500_000, "random_hold": 4, "target_entropy": -2,
        "reward_clip": 10, "checkpoint_every": 40, "eval_every": 400,
    },
    ("LunarLanderContinuous-v3", "sac"): {
        "total_steps": 300_000, "num_envs": 8, "num_steps": 32, "minibatch_size": 256, "replay_ratio": 0.5,
        "hidden_sizes": (128, 128), "layer_norm": True, "gamma": 0.99, "tau": 0.01, "learning_rate": 7e-4,
        "learning_rate_schedule": "linear", "buffer_size": 500_000, "reward_clip": 10, "checkpoint_every": 100,
        "eval_every": 100,
    },
    ("Pendulum-v1", "sac"): {
        "total_steps": 20_000, "num_envs": 1, "num_steps": 64, "replay_ratio": 1, "hidden_sizes": (64, 64),
        "learning_rate": 1e-3, "learning_starts": 1_000, "buffer_size": 20_000, "checkpoint_every": 50,
        "eval_every": 50,
    },
    ("MountainCarContinuous-v0", "sac"): {
        "total_steps": 20_000, "num_envs": 4, "num_steps": 16, "replay_ratio": 0.5, "hidden_sizes": (64, 64),
        "learning_rate": 1e-3, "tau": 0.01, "learning_starts": 5_000, "random_hold": 20, "buffer_size": 50_000,
        "checkpoint_every": 50, "eval_every": 50,
    },
}


def preset(env_id: str, algorithm: str) -> dict[str, Any]:
    """The tuned settings of an environment, empty where it has none. A namespace (`module:`) is ignored."""
    return dict(PRESETS.get((env_id.rpartition(":")[2], algorithm), {}))
