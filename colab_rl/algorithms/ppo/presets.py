"""Tuned settings of PPO by environment; what is not named here is the config's default.

They began as rl-baselines3-zoo's hyperparameters, with larger minibatches and more environments for two CPU cores
(docs/lab/walker-ppo.md).
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "BipedalWalker-v3": {
        "total_steps": 1_750_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 512, "update_epochs": 6,
        "gamma": 0.98, "learning_rate": 1e-3, "learning_rate_schedule": "linear", "ent_coef": 0.001,
        "ent_coef_schedule": "linear", "activation": "relu", "checkpoint_every": 50, "eval_every": 125,
        "eval_episodes": 7,
    },
    "BipedalWalkerHardcore-v3": {
        "total_steps": 20_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 1024, "update_epochs": 8,
        "gamma": 0.99, "learning_rate": 5e-4, "learning_rate_schedule": "linear", "ent_coef": 0.001,
        "ent_coef_schedule": "linear", "hidden_sizes": (128, 128), "checkpoint_every": 25, "eval_every": 100,
    },
    "LunarLander-v3": {
        "total_steps": 1_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 256, "update_epochs": 8,
        "gamma": 0.995, "gae_lambda": 0.98, "ent_coef": 0.01, "ent_coef_schedule": "linear", "learning_rate": 1e-3,
        "learning_rate_schedule": "linear", "checkpoint_every": 30, "eval_every": 60,
    },
    "LunarLanderContinuous-v3": {
        "total_steps": 1_000_000, "num_envs": 16, "num_steps": 512, "minibatch_size": 256, "update_epochs": 8,
        "gamma": 0.995, "gae_lambda": 0.98, "ent_coef": 0.001, "ent_coef_schedule": "linear", "learning_rate": 1e-3,
        "learning_rate_schedule": "linear", "checkpoint_every": 30, "eval_every": 60,
    },
    # A picture each 8 frames (0.16 s): drawing pictures is what collecting waits for. Many passes over few pictures
    # learn more from each, as long as the policy stays near (docs/lab/car-racing.md).
    "CarRacing-v3": {
        "wrappers": ("RepeatAction(num_repeats=8)", "GrayscaleObservation", "FrameStackObservation(stack_size=4)"),
        "total_steps": 300_000, "num_envs": 8, "num_steps": 128, "minibatch_size": 128, "update_epochs": 8,
        "gamma": 0.98, "learning_rate": 4e-4, "learning_rate_schedule": "linear", "target_kl": 0.03,
        "log_std_init": -0.5, "hidden_sizes": (256,), "activation": "relu", "shared_trunk": True,
        "checkpoint_every": 10, "eval_every": 20, "eval_episodes": 10,
    },
    "CartPole-v1": {
        "total_steps": 150_000, "num_envs": 8, "num_steps": 128, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.99, "gae_lambda": 0.95, "learning_rate": 1e-3, "learning_rate_schedule": "linear",
        "checkpoint_every": 20, "eval_every": 20,
    },
    "Pendulum-v1": {
        "total_steps": 200_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.9, "gae_lambda": 0.95, "learning_rate": 1e-3, "checkpoint_every": 10, "eval_every": 10,
    },
    "Acrobot-v1": {
        "total_steps": 500_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 512, "update_epochs": 4,
        "gae_lambda": 0.94, "checkpoint_every": 20, "eval_every": 20,
    },
    "MountainCarContinuous-v0": {
        "total_steps": 200_000, "num_envs": 16, "num_steps": 256, "minibatch_size": 256, "update_epochs": 10,
        "gamma": 0.9999, "gae_lambda": 0.9, "ent_coef": 0.01, "log_std_init": 0.5,
        "checkpoint_every": 10, "eval_every": 10,
    },
}
