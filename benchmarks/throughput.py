"""End-to-end steps per second of PPO beside those of stable-baselines3, SBX and CleanRL, at equal hyperparameters.

    python benchmarks/throughput.py --rounds 3 --json throughput.json

rl-baselines3-zoo's BipedalWalker-v3 settings (32 environments, minibatches of 64, 10 epochs,
64-64 tanh, observations and rewards normalised), with shorter rollouts so that an iteration
takes seconds. The contestants take turns; the first iteration of each is left out. The peers are
installed into benchmarks/.peers, an environment of their own. Ours is the whole command, with
metrics and a checkpoint every iteration; neither evaluates.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
from functools import partial

HERE = pathlib.Path(__file__).parent
PEERS = HERE / ".peers"
SETTING = {"env": "BipedalWalker-v3", "num_envs": 32, "num_steps": 256, "minibatch_size": 64, "update_epochs": 10,
           "gamma": 0.999, "gae_lambda": 0.95, "clip_range": 0.18, "learning_rate": 3e-4}


def install_peers() -> pathlib.Path:
    """Python of the peers' environment."""
    python = PEERS / "bin" / "python"
    if not (PEERS / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", HERE.parent / "constraints.txt", "torch",
                        "gymnasium[box2d]", "stable-baselines3", "sbx-rl"], check=True)
        (PEERS / "ready").touch()
    return python


def peer_of(python: pathlib.Path, script: str, iterations: int, **more: str) -> float:
    setting = json.dumps({**SETTING, "iterations": iterations, **more})
    output = subprocess.run([python, HERE / "peers" / script, setting], check=True, capture_output=True, text=True)
    return json.loads(output.stdout.splitlines()[-1])["steps_per_second"]


def colab_rl(backend: str, iterations: int) -> float:
    size = SETTING["num_envs"] * SETTING["num_steps"]
    settings = [f"{name}={value}" for name, value in SETTING.items() if name != "env"]
    with tempfile.TemporaryDirectory() as root:
        subprocess.run([sys.executable, "-m", "colab_rl", "train", "speed", "--env", SETTING["env"], "--algo", "ppo",
                        "--root", root, "--store", "none", "--backend", backend,
                        "--total-steps", str(size * (iterations + 2)), "--set", *settings,
                        "learning_rate_schedule=constant", "checkpoint_every=1", "eval_every=1000000",
                        "eval_episodes=1"],
                       check=True, capture_output=True)
        rows = [row for table in sorted(pathlib.Path(root, "speed", "metrics").glob("*.csv"))
                for row in csv.DictReader(table.open())]
    first, last = rows[0], rows[iterations]
    return (float(last["step"]) - float(first["step"])) / (float(last["seconds"]) - float(first["seconds"]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=2, help="timed ones, of each contestant in each round")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    python = install_peers()
    sb3_or_sbx = partial(peer_of, python, "sb3_ppo.py", options.iterations)
    contestants = {
        "colab_rl, gymnasium": lambda: colab_rl("gymnasium", options.iterations),
        "colab_rl, EnvPool": lambda: colab_rl("envpool", options.iterations),
        "stable-baselines3, DummyVecEnv": lambda: sb3_or_sbx(library="stable_baselines3", vector="Dummy"),
        "stable-baselines3, SubprocVecEnv": lambda: sb3_or_sbx(library="stable_baselines3", vector="Subproc"),
        "SBX, DummyVecEnv": lambda: sb3_or_sbx(library="sbx", vector="Dummy"),
        "SBX, SubprocVecEnv": lambda: sb3_or_sbx(library="sbx", vector="Subproc"),
        "CleanRL's ppo_continuous_action": lambda: peer_of(python, "cleanrl_ppo.py", options.iterations),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, measure in contestants.items():
            speeds[name].append(measure())
    peer = speeds["stable-baselines3, DummyVecEnv"]
    table = []
    for name, figures in speeds.items():
        ratios = [mine / theirs for mine, theirs in zip(figures, peer, strict=True)]
        table.append({"name": name, "steps_per_second": figures, "over_dummy": ratios})
        print(f"{name:34} {statistics.median(figures):8.0f} steps/s (each: {', '.join(f'{x:.0f}' for x in figures)}), "
              f"{statistics.median(ratios):.2f} times the peer's DummyVecEnv ({min(ratios):.2f} to {max(ratios):.2f})")
    if options.json:
        options.json.write_text(json.dumps({"setting": SETTING, "results": table}, indent=1))


if __name__ == "__main__":
    main()
