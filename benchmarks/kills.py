"""Kills a training run at random moments and compares its end with a run never killed.

    python benchmarks/kills.py --kills 50 --json kills.json

For each environment: one undisturbed run, then one that is killed with SIGKILL (the trainer,
or one of its workers) until the number of kills is reached, and then left to end. Small
iterations and a checkpoint at every one make the kills fall into collecting, updating, evaluating,
saving, pruning and loading alike; the table says where they fell. Both must end with the
same `state_sha256`.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

CONTINUOUS = ("BipedalWalker-v3", "LunarLanderContinuous-v3", "Pendulum-v1")
ENVIRONMENTS = {"ppo": ("BipedalWalker-v3", "BipedalWalkerHardcore-v3", "LunarLander-v3", "CartPole-v1"),
                "sac": CONTINUOUS, "tqc": CONTINUOUS}
SETTINGS = ("num_envs=6", "num_steps=64", "minibatch_size=96", "checkpoint_every=1", "keep_last=2", "keep_every=7",
            "eval_every=9", "eval_episodes=2")
OFF_POLICY = ("hidden_sizes=64,64", "replay_ratio=0.02", "learning_starts=1000")
SETTINGS_OF = {"ppo": (), "sac": OFF_POLICY, "tqc": OFF_POLICY}


def command(run: str, env: str, options: argparse.Namespace, root: pathlib.Path, store: bool) -> list[str]:
    # Rows that only reset are no steps, so the number of iterations is a little above this.
    keywords = ["--env-set", *options.env_set] if options.env_set else []
    settings = dict(one.split("=", 1) for one in (*SETTINGS, *SETTINGS_OF[options.algo], *options.set))
    return [sys.executable, "-m", "colab_rl", "train", run, "--env", env, *keywords, "--backend", options.backend,
            "--device", options.device, "--algo", options.algo,
            "--root", str(root), "--store", str(root / "store") if store else "none",
            "--total-steps", str(options.iterations * 6 * 64),
            "--set", *(f"{name}={value}" for name, value in settings.items())]


def workers_of(pid: int) -> list[int]:
    """Process ids of the trainer's workers."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children]
    except OSError:
        return []


def doing(pid: int) -> str:
    """What the trainer does, by its stack: only for the table."""
    try:
        stack = subprocess.run(["py-spy", "dump", "--pid", str(pid)], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    main = stack[stack.find('"MainThread"'):].split("\nThread")[0]
    for pattern, phase in (("prune|remove ", "prune"), (r"\bsave |commit", "save"), ("_evaluate", "evaluate"),
                           (r"\bcollect ", "collect"), (r"\bupdate ", "update"),
                           ("restore|_load|newest_whole|restore_locally|sweep", "load")):
        if re.search(pattern, main):
            return phase
    return "start"


def wait_for_training(run: pathlib.Path, process: subprocess.Popen) -> None:
    """Until the session has saved a checkpoint of its own."""
    newest = time.time_ns()
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        for path in run.glob("checkpoints/*.json"):
            try:
                if path.stat().st_mtime_ns > newest:
                    return
            except FileNotFoundError:  # pruned meanwhile
                continue
        time.sleep(0.02)


def final_hash(output: str) -> str:
    match = re.search(r"state_sha256=([0-9a-f]{64})", output)
    return match[1] if match else "none: " + output[-300:]


def measure(env: str, options: argparse.Namespace, root: pathlib.Path) -> dict:
    kills, rng = options.kills, random.Random(f"{options.seed} {env}")
    undisturbed = subprocess.run(command("whole", env, options, root, False), capture_output=True, text=True)
    expected = final_hash(undisturbed.stdout)
    fell, killed, started, ended_early = collections.Counter(), 0, 0, 0
    output = ""
    while True:
        started += 1
        process = subprocess.Popen(command("killed", env, options, root, True), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        while killed < kills and process.poll() is None:
            # One in four while it starts and loads, the others once it trains.
            if rng.random() < 0.25:
                time.sleep(rng.uniform(0.2, 4.0))
            else:
                wait_for_training(root / "killed", process)
                time.sleep(rng.uniform(0.0, 1.5))
            if process.poll() is None:
                victim = process.pid
                workers = workers_of(process.pid)
                phase = doing(process.pid) if options.where else "unknown"
                if workers and rng.random() < 0.25:
                    victim, phase = rng.choice(workers), "worker in " + phase
                try:
                    os.kill(victim, signal.SIGKILL)
                    killed += 1
                    fell[phase] += 1
                except ProcessLookupError:
                    pass
                if victim == process.pid:
                    break  # after a worker's end the trainer leaves, or makes another and trains on
        output, errors = process.communicate()
        if process.returncode == 0:
            if killed >= kills:
                break
            ended_early += 1
            if ended_early > 3:
                break
        elif process.returncode not in (-signal.SIGKILL, 1):
            raise SystemExit(f"{env}: exit code {process.returncode}: {errors[-2000:]}")
    status = json.loads(subprocess.run([sys.executable, "-m", "colab_rl", "status", "killed", "--root", str(root),
                                        "--json"], capture_output=True, text=True).stdout)
    return {"env": env, "algo": options.algo, "backend": options.backend, "kills": killed, "sessions": started,
            "fell": dict(fell), "expected": expected, "state_sha256": final_hash(output),
            "equal": final_hash(output) == expected, "exact": status["exact"], "iterations": status["iteration"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", action="append", help="may be given several times (default: each of the algorithm's)")
    parser.add_argument("--env-set", nargs="+", default=[], metavar="KEY=VALUE", help="keyword arguments of it")
    parser.add_argument("--algo", choices=("ppo", "sac", "tqc"), default="ppo")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="such as buffer_size=300000")
    parser.add_argument("--backend", choices=("gymnasium", "envpool"), default="gymnasium")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--where", action="store_true", help="tell where kills fall (needs py-spy)")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    for env in options.env or ENVIRONMENTS[options.algo]:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(env, options, pathlib.Path(folder))
        rows.append(row)
        print(f"{env:26} {row['kills']:3} kills in {row['sessions']:3} sessions, {row['iterations']} iterations: "
              f"{'equal' if row['equal'] else 'DIFFERENT'}; {row['fell']}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return 0 if all(row["equal"] and row["exact"] and row["kills"] == options.kills for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
