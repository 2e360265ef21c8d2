"""Time of a gradient step of SAC beside those of stable-baselines3 and SBX, at equal sizes.

    python benchmarks/sac.py --rounds 5 --threads 1 2 --json sac.json

Minibatches of random transitions of BipedalWalker-v3's shape, float32 on the CPU. Sampling, both critics, policy,
temperature and targets are in a step. The contestants take turns, each in a process of its own. Beside the clock's time
stands the processor's, which other programs on the machine disturb less. stable-baselines3 has no layer norm, and
steps without it. The peers are installed into benchmarks/.peers (throughput.py).
"""

from __future__ import annotations

import argparse
import itertools
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
SETTING = {"env": "BipedalWalker-v3", "transitions": 20_000, "steps": 128}
SIZES = {"the preset": {"hidden_sizes": [128, 128], "layer_norm": True, "minibatch_size": 128},
         "400-300": {"hidden_sizes": [400, 300], "layer_norm": False, "minibatch_size": 256}}


def ours(setting: dict) -> dict[str, float]:
    """Seconds of a gradient step, by the clock and of the processor."""
    torch.set_num_threads(setting["threads"])
    num_envs, spaces = 8, describe(setting["env"])
    config = SACConfig(num_envs=num_envs, num_steps=setting["steps"] // num_envs, replay_ratio=1,
                       minibatch_size=setting["minibatch_size"], hidden_sizes=tuple(setting["hidden_sizes"]),
                       layer_norm=setting["layer_norm"], learning_starts=0, buffer_size=setting["transitions"])
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
    peer = [install_peers(), HERE / "peers" / "sb3_sac.py"]
    contestants: dict[str, tuple[list, dict]] = {
        "colab_rl": ([sys.executable, __file__, "--measure"], {}),
        "SBX": (peer, {"library": "sbx"}),
        "stable-baselines3": (peer, {"library": "stable_baselines3", "layer_norm": False})}
    rows = []
    for (size, sizes), threads in itertools.product(SIZES.items(), options.threads):
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, (command, own) in contestants.items():
                setting = {**SETTING, **sizes, "threads": threads, **own}
                output = subprocess.run([*command, json.dumps(setting)], check=True, capture_output=True, text=True)
                found[name].append(json.loads(output.stdout.splitlines()[-1]))
        for kind in ("wall", "processor"):
            milliseconds = {name: [1e3 * one[kind] for one in each] for name, each in found.items()}
            rows.append({"size": size, "threads": threads, "kind": kind, **milliseconds})
            medians = {name: statistics.median(each) for name, each in milliseconds.items()}
            print(f"{size}, {threads} threads, {kind} time:", *(
                f"{name} {medians[name]:.2f} ms ({min(each):.2f} to {max(each):.2f});"
                for name, each in milliseconds.items()),
                "ours over each:", *(f"{medians['colab_rl'] / medians[name]:.2f}" for name in contestants), flush=True)
    if options.json:
        options.json.write_text(json.dumps({"setting": SETTING, "sizes": SIZES, "results": rows}, indent=1))


if __name__ == "__main__":
    main()
