"""Time of a gradient step of SAC beside stable-baselines3's, at equal sizes.

    python benchmarks/sac.py --rounds 5 --threads 1 2 --json sac.json

Hidden layers of 400 and 300 units, minibatches of 256 random transitions of BipedalWalker-v3's shape, float32 on the
CPU; sampling, both critics, policy, temperature and targets are in it. The contestants take turns, each in a process of
its own. Beside the clock's time stands the processor's, which other programs on the machine disturb less. The peer is
installed into benchmarks/.peers (throughput.py).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
from throughput import install_peers

from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.algorithms.sac.sac import SAC
from colab_rl.environments import describe

HERE = pathlib.Path(__file__).parent
SETTING = {"env": "BipedalWalker-v3", "hidden_sizes": [400, 300], "minibatch_size": 256, "transitions": 20_000,
           "steps": 128}


def ours(setting: dict) -> dict[str, float]:
    """Seconds of a gradient step, by the clock and of the processor."""
    torch.set_num_threads(setting["threads"])
    num_envs, spaces = 8, describe(setting["env"])
    config = SACConfig(num_envs=num_envs, num_steps=setting["steps"] // num_envs, replay_ratio=1,
                       minibatch_size=setting["minibatch_size"], hidden_sizes=tuple(setting["hidden_sizes"]),
                       learning_starts=0, buffer_size=setting["transitions"])
    sac, rng = SAC(config, spaces, torch.device("cpu")), np.random.default_rng(0)
    sac.replay.begin(rng.normal(size=(num_envs, spaces.observation.shape[0])))
    for _ in range(setting["transitions"] // num_envs):
        sac.replay.append(rng.uniform(-1, 1, (num_envs, spaces.action_dim)), rng.normal(size=num_envs),
                          rng.random(num_envs) < 0.01, np.ones(num_envs, bool),
                          rng.normal(size=(num_envs, spaces.observation.shape[0])))
    sac.steps = setting["transitions"]
    sac.update(0.0)
    wall, processor = time.perf_counter(), time.process_time()
    sac.update(0.0)
    return {"wall": (time.perf_counter() - wall) / setting["steps"],
            "processor": (time.process_time() - processor) / setting["steps"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--measure", metavar="SETTING", help="one measurement of ours, of this setting, as JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(ours(json.loads(options.measure))))
        return
    peer = install_peers()
    contestants = {"colab_rl": [sys.executable, __file__, "--measure"],
                   "stable-baselines3": [peer, HERE / "peers" / "sb3_sac.py"]}
    rows = []
    for threads in options.threads:
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, command in contestants.items():
                output = subprocess.run([*command, json.dumps({**SETTING, "threads": threads})], check=True,
                                        capture_output=True, text=True)
                found[name].append(json.loads(output.stdout.splitlines()[-1]))
        for kind in ("wall", "processor"):
            milliseconds = {name: [1e3 * one[kind] for one in each] for name, each in found.items()}
            rows.append({"threads": threads, "kind": kind, **milliseconds})
            mine, theirs = (statistics.median(each) for each in milliseconds.values())
            print(f"{threads} threads, {kind} time: {mine:.1f} ms ({min(milliseconds['colab_rl']):.1f} to "
                  f"{max(milliseconds['colab_rl']):.1f}), stable-baselines3 {theirs:.1f} ms "
                  f"({min(milliseconds['stable-baselines3']):.1f} to {max(milliseconds['stable-baselines3']):.1f}): "
                  f"{mine / theirs:.2f} of it", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"setting": SETTING, "results": rows}, indent=1))


if __name__ == "__main__":
    main()
