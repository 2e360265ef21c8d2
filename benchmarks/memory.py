"""What memory is for: CartPole without its velocities, learned by PPO with a GRU, and with an MLP.

    python benchmarks/memory.py --seeds 1000 1001 1002 --json memory.json

A velocity is what two observations tell together, so that an MLP cannot balance the pole. The score is that of
`evaluate` with 100 episodes, 500 at most, of the best checkpoint.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
import time

import gymnasium
import numpy as np

from colab_rl import evaluate, train

SETTINGS = {"total_steps": 120_000, "num_envs": 16, "num_steps": 64, "minibatch_size": 256, "update_epochs": 10,
            "gamma": 0.98, "gae_lambda": 0.9, "learning_rate": 1e-3, "learning_rate_schedule": "linear",
            "shared_trunk": True, "eval_every": 20, "eval_episodes": 10, "checkpoint_every": 20}


class WithoutVelocities(gymnasium.ObservationWrapper):
    """CartPole that shows the cart's place (m) and the pole's angle (rad)."""

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        space = env.observation_space
        self.observation_space = gymnasium.spaces.Box(space.low[[0, 2]], space.high[[0, 2]], dtype=np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """(2,) of (4,)."""
        return observation[[0, 2]]


def masked_cartpole() -> gymnasium.Env:
    """The environment."""
    return WithoutVelocities(gymnasium.make("CartPole-v1"))


def measure(network: str, seed: int, root: pathlib.Path) -> dict:
    """Trains one run and scores it."""
    run, places = f"{network}-{seed}", {"env": masked_cartpole, "root": root, "store": "none"}
    began, cpu = time.perf_counter(), time.process_time()
    train(run, seed=seed, settings={**SETTINGS, "network": network}, **places)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
    return {"network": network, "seed": seed, "seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1),
            **evaluate(run, episodes=100, **places).summary()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["gru", "mlp"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000, 1001, 1002])
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for network in options.networks:
            for seed in options.seeds:
                rows.append(measure(network, seed, pathlib.Path(root)))
                print("{network} seed {seed}: {mean:.1f} +- {std:.1f}, at least {min:.0f}; {cpu_seconds:.0f} s of CPU "
                      "time, {seconds:.0f} s".format(**rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
