"""How near training comes to the environments alone, where its time goes, and how both grow with their number.

    python benchmarks/limits.py --rounds 5 --json limits.json

For each backend and number of environments, in turns within one process: random actions alone
(no policy, no learning), and iterations of BipedalWalker-v3's preset (as many transitions an iteration
whatever their number), its collecting and its update apart. The share of the limit is the second
speed over the first. gymnasium's own vector environments stand beside ours.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import torch

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import preset
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.environments import VectorEnvironment, describe
from colab_rl.environments.backends import make_vector_environment, reason_not_available
from colab_rl.environments.spaces import Spaces

ENV = "BipedalWalker-v3"
WARM_UP = 20  # iterations: a policy that still stands up for a while, not one that falls at once


def random_actions(spaces: Spaces, num_envs: int) -> itertools.cycle:
    actions = np.random.default_rng(0).uniform(spaces.action_low, spaces.action_high, (64, num_envs, spaces.action_dim))
    return itertools.cycle(actions.astype(spaces.action_dtype))


def speed_of(step: Callable[[np.ndarray], Any], actions: itertools.cycle, num_envs: int, seconds: float) -> float:
    began, taken = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        for _ in range(16):
            step(next(actions))
        taken += 16 * num_envs
    return taken / (time.perf_counter() - began)


class Ours:
    """A backend of the package with `num_envs` environments, and the preset's PPO on it."""

    def __init__(self, backend: str, num_envs: int, spaces: Spaces, settings: dict[str, Any]):
        transitions = settings["num_envs"] * settings["num_steps"]
        config = PPOConfig(**{**settings, "num_envs": num_envs, "num_steps": transitions // num_envs})
        self.alone, self.trained = (self._begin(backend, spaces, num_envs) for _ in range(2))
        self.algorithm, self.actions = PPO(config, spaces, torch.device("cpu")), random_actions(spaces, num_envs)
        for _ in range(WARM_UP):
            self.algorithm.collect(self.trained)
            self.algorithm.update(0.0)

    def measure(self, seconds: float) -> dict[str, float]:
        """Steps per second alone and trained, the one over the other, and the share of training spent collecting."""
        raw = speed_of(self.alone.step, self.actions, self.alone.num_envs, seconds)
        collect = update = 0.0
        transitions = 0
        while collect + update < seconds:
            began = time.perf_counter()
            transitions += self.algorithm.collect(self.trained)
            collected = time.perf_counter()
            self.algorithm.update(0.0)
            collect, update = collect + collected - began, update + time.perf_counter() - collected
        speed = transitions / (collect + update)
        return {"raw": raw, "end_to_end": speed, "share": speed / raw, "collecting": collect / (collect + update)}

    def close(self) -> None:
        """Ends its threads or processes."""
        self.alone.close()
        self.trained.close()

    @staticmethod
    def _begin(backend: str, spaces: Spaces, num_envs: int) -> VectorEnvironment:
        envs = make_vector_environment(backend, ENV, spaces, num_envs, seed=0)
        envs.reset()
        return envs


class Gymnasiums:
    """gymnasium's own vector environment, random actions alone."""

    def __init__(self, mode: str, num_envs: int, spaces: Spaces):
        self.envs = gymnasium.make_vec(ENV, num_envs, vectorization_mode=mode)
        self.envs.reset(seed=0)
        self.actions = random_actions(spaces, num_envs)

    def measure(self, seconds: float) -> dict[str, float]:
        """Steps per second."""
        return {"raw": speed_of(self.envs.step, self.actions, self.envs.num_envs, seconds)}

    def close(self) -> None:
        """Ends its threads or processes."""
        self.envs.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--num-envs", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    spaces, settings = describe(ENV), preset(ENV, "ppo")
    backends = [name for name in ("envpool", "gymnasium") if reason_not_available(name, ENV, spaces) is None]
    with plain_torch(THREADS):
        contestants: dict[tuple[str, int], Ours | Gymnasiums] = {}
        for num_envs in options.num_envs:
            for backend in backends:
                contestants[f"colab_rl, {backend}", num_envs] = Ours(backend, num_envs, spaces, settings)
            for mode in ("sync", "async"):
                contestants[f"gymnasium, {mode}", num_envs] = Gymnasiums(mode, num_envs, spaces)
        rounds = [{key: contestant.measure(options.seconds) for key, contestant in contestants.items()}
                  for _ in range(options.rounds)]
        for contestant in contestants.values():
            contestant.close()
    print("| | environments | alone, steps/s | trained, steps/s | share of the limit | time collecting |")
    print("| --- | --- | --- | --- | --- | --- |")
    rows = []
    for name, num_envs in contestants:
        figures = {figure: statistics.median(row[name, num_envs][figure] for row in rounds)
                   for figure in rounds[0][name, num_envs]}
        rows.append({"name": name, "num_envs": num_envs, **figures})
        trained = "| | |" if "share" not in figures else (
            f"{figures['end_to_end']:,.0f} | {figures['share']:.2f} | {figures['collecting']:.0%} |")
        print(f"| {name} | {num_envs} | {figures['raw']:,.0f} | {trained}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
