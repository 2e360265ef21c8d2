"""Figures of sweeps: kills, a plan of 10,000 runs, two runs at once, and the overhead.

    python benchmarks/sweeps.py kills --kills 20               12 runs, killed at random, held to an undisturbed sweep
    python benchmarks/sweeps.py kills --on ray                 the same by Ray on this machine
    python benchmarks/sweeps.py kills --on cluster             the same on a Ray cluster of three nodes, which die too
    python benchmarks/sweeps.py large                          status and report of 10,000 made-up runs: seconds, memory
    python benchmarks/sweeps.py pair --steps 200000            two walkers at once against one after the other
    python benchmarks/sweeps.py overhead --steps 100000        8 CartPole runs: the sweep's time over the runs' own

The walker over 20 seeds, for docs/results.md (some hours):

    python -m colab_rl sweep walker20 --algo ppo sac --seeds 1000-1019 && python -m colab_rl report walker20
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from colab_rl.runs.places import Places
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.trials import RunRecord

TINY = ["num_envs=2", "num_steps=32", "minibatch_size=32", "update_epochs=2", "checkpoint_every=1", "eval_every=4",
        "eval_episodes=2", "keep_last=2", "keep_every=3", "hidden_sizes=8"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", choices=("kills", "large", "pair", "overhead"))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--on", default="local", choices=("local", "ray", "cluster"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        globals()[options.figure](Path(folder), options)


def command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "colab_rl", *arguments, "--root", str(root), "--store", "none"]


def hashes(root: Path) -> dict[str, str]:
    """state_sha256 of each run by the sweep's journal, and how often each is there."""
    lines = [json.loads(line) for line in (root / "sweeps/walk/journal.jsonl").read_text().splitlines()]
    runs = [line for line in lines if "run" in line]
    twice = len(runs) - len({line["run"] for line in runs})
    print(f"{root.name}: {len(runs)} runs ended, {twice} of them twice")
    return {line["run"]: line["state_sha256"] for line in runs}


def kills(folder: Path, options: argparse.Namespace) -> None:
    chance = random.Random(options.seed)
    arguments = ["sweep", "walk", "--env", "CartPole-v1", "--vary", "learning_rate=3e-4,1e-3,3e-3", "gamma=.98,.99",
                 "--seeds", "0-1", "--total-steps", str(options.steps), "--set", *TINY]
    subprocess.run(command(folder / "undisturbed", *arguments), check=True, stdout=subprocess.DEVNULL)
    root, done = folder / "killed", {"driver": 0, "worker": 0, "node": 0}
    with Nodes() if options.on == "cluster" else contextlib.nullcontext() as nodes:
        on = f"ray:{nodes.address}" if nodes else options.on
        (folder / "store").mkdir()
        disturbed = [*command(root, *arguments), "--on", on, *(["--store", str(folder / "store")] if nodes else [])]
        driver = None
        while True:
            if driver is None:
                driver = subprocess.Popen(disturbed, stdout=subprocess.DEVNULL)
            try:
                code = driver.wait(chance.uniform(2, 16) if sum(done.values()) < options.kills else None)
                if code == 0 or not nodes:
                    break
                print(f"the driver ended with its node: exit code {code}", flush=True)  # Ray ends both
                driver = None
                continue
            except subprocess.TimeoutExpired:
                pass
            workers, victim = runs_of(root), chance.random()
            if workers and victim < 0.5:
                os.kill(chance.choice(workers), signal.SIGKILL)
                done["worker"] += 1
            elif nodes and victim < 0.75:
                nodes.lose(chance)
                done["node"] += 1
            else:
                driver.kill()
                driver.wait()
                driver = None
                done["driver"] += 1
            print(f"kills: {done}, {ended(root)} runs ended", flush=True)
    undisturbed, killed = hashes(folder / "undisturbed"), hashes(root)
    print(f"{sum(undisturbed[run] == killed.get(run) for run in undisturbed)} of {len(undisturbed)} runs are equal")


class Nodes:
    """A Ray cluster on this machine: a head without CPUs, and two nodes with one each, one of which can be lost."""

    def __enter__(self) -> Nodes:
        from ray.cluster_utils import Cluster

        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])  # the nodes' workers find the package by it
        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.address = self._cluster.address
        self._nodes = [self._add(), self._add()]
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.shutdown()

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, include_dashboard=False)

    def lose(self, chance: random.Random) -> None:
        """One node dies with all that it runs, and another one comes."""
        node = self._nodes.pop(chance.randrange(2))
        self._cluster.remove_node(node, allow_graceful=False)
        self._nodes.append(self._add())


def ended(root: Path) -> int:
    """Runs that the sweep's journal says have ended."""
    try:
        return (root / "sweeps/walk/journal.jsonl").read_text().count('"state_sha256"')
    except FileNotFoundError:
        return 0


def runs_of(root: Path) -> list[int]:
    """Processes that hold a run's lock."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(one).startswith(f"{root}/walk-t") and os.readlink(one).endswith(".lock")
                   for one in (process / "fd").iterdir()):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def large(folder: Path, options: argparse.Namespace) -> None:
    rates = [round(1e-5 * 1.005 ** i, 10) for i in range(1000)]
    plan = Plan(sweep="large", env_id="CartPole-v1", env_is_function=False, algorithms=("ppo",), trials=2000,
                grid={"learning_rate": rates, "gamma": [0.98, 0.99]}, seeds=tuple(range(5)))
    arguments = ["sweep", "large", "--env", "CartPole-v1", "--vary", "gamma=0.98,0.99",
                 "learning_rate=" + ",".join(map(str, rates)), "--seeds", "0-4"]
    began = time.perf_counter()
    driver = subprocess.Popen(command(folder / "begun", *arguments), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    while not (folder / "begun/sweeps/large/logs").exists():
        time.sleep(0.01)
    print(f"sweep of 10,000 runs: its first run begins after {time.perf_counter() - began:.1f} s")
    driver.kill()
    random_numbers = np.random.default_rng(0)
    files = SweepFolder(Places(folder / "runs", "none"), "large")
    files.write_plan(plan)
    lines = []
    for trial in range(plan.trials):
        for run in plan.runs_of(trial):
            scores = np.cumsum(random_numbers.normal(4, 10, 25)).round(2)
            curve = [[4096 * (i + 1), 2.5 * (i + 1), score] for i, score in enumerate(scores.tolist())]
            lines.append(RunRecord(run=run, state="finished", score=curve[-1][2], step=102_400, seconds=62.5,
                                   state_sha256="0" * 64, curve=curve).to_line())
            (folder / "runs" / run).mkdir()
    files.begin_journal(lines)
    for name, arguments in {"status": ["status", "large"], "sweep, given again": ["sweep", "large"],
                            "report": ["report", "large", "--out", str(folder / "large.html")]}.items():
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command(folder / "runs", *arguments), check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{name}: {time.perf_counter() - began:.1f} s, {after.ru_utime - before.ru_utime:.1f} s of a core; most "
              f"memory of a process so far {after.ru_maxrss / 1e6:.2f} GB")
    print(f"the report has {(folder / 'large.html').stat().st_size / 1e6:.1f} MB")


def pair(folder: Path, options: argparse.Namespace) -> None:
    seconds = {}
    for workers in (1, 2):
        began = time.perf_counter()
        subprocess.run(command(folder / str(workers), "sweep", "walk", "--seeds", "0-1", "--workers", str(workers),
                               "--total-steps", str(options.steps)), check=True, stdout=subprocess.DEVNULL)
        seconds[workers] = time.perf_counter() - began
    print(f"one after the other {seconds[1]:.0f} s, at once {seconds[2]:.0f} s: {seconds[1] / seconds[2]:.2f} times")


def overhead(folder: Path, options: argparse.Namespace) -> None:
    began = time.perf_counter()
    subprocess.run(command(folder, "sweep", "walk", "--env", "CartPole-v1", "--seeds", "0-7", "--total-steps",
                           str(options.steps)), check=True, stdout=subprocess.DEVNULL)
    sweep, sweep_core = time.perf_counter() - began, core_seconds()
    shutil.rmtree(folder / "sweeps")
    began = time.perf_counter()
    each = [subprocess.Popen(["sh", "-c", " && ".join(
        " ".join(command(folder, "train", f"r{seed}", "--env", "CartPole-v1", "--seed", str(seed), "--total-steps",
                         str(options.steps))) for seed in range(first, 8, 2))], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL) for first in (0, 1)]
    for process in each:
        process.wait()
    alone = time.perf_counter() - began
    print(f"8 runs by `train`, two at a time: {alone:.1f} s; by `sweep`: {sweep:.1f} s; {sweep / alone - 1:+.1%}")
    core = core_seconds() - sweep_core
    print(f"seconds of a core: {core:.1f} and {sweep_core:.1f}; {sweep_core / core - 1:+.1%}")


def core_seconds() -> float:
    """Of all processes that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
