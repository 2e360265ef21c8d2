"""Trains an environment's preset from nothing, over many seeds, and says how good the next user's seed will be.

    python benchmarks/solve.py --env BipedalWalker-v3 --json solve.json                       # seeds 1000 to 1019
    python benchmarks/solve.py --backend envpool --set target_score=300                       # time to a score
    python benchmarks/solve.py --env Pendulum-v1 --algo sac --seeds 1000-1009

The rules: the command names the seeds before they run, all of them are reported, and settings are tuned on seeds 0 to
99 alone. Wall time is the whole `train` command's, start-up, evaluations and checkpoints included. The score is that of
`evaluate --episodes 100`, whose episodes chose no checkpoint and stopped no run. The result is the interquartile mean
over the seeds with its 95 % interval, and the worst seed.
"""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np

from colab_rl.sweeps.choices import parse_seeds
from colab_rl.sweeps.statistics import iqm_interval

UNTUNED = 1000  # nobody chooses settings by this seed and those after it


def shares(run: pathlib.Path) -> dict[str, float]:
    """Of the time of all iterations, the share spent on each part, in percent."""
    rows = [row for table in sorted(run.glob("metrics/*.csv")) for row in csv.DictReader(table.open())]
    parts = {part: sum(float(row[f"time/{part}"]) for row in rows)
             for part in ("collect", "update", "evaluate", "checkpoint")}
    return {part: 100 * seconds / sum(parts.values()) for part, seconds in parts.items()}


def colab_rl(*arguments: str) -> str:
    finished = subprocess.run([sys.executable, "-m", "colab_rl", *arguments], capture_output=True, text=True)
    if finished.returncode:
        raise SystemExit(f"{arguments}: exit code {finished.returncode}: {finished.stderr[-2000:]}")
    return finished.stdout


def measure(env: str, algorithm: str, backend: str, seed: int, settings: list[str], root: pathlib.Path) -> dict:
    run, places = f"seed{seed}", ("--root", str(root), "--store", str(root / "store"))
    began = time.perf_counter()
    colab_rl("train", run, "--env", env, "--algo", algorithm, "--backend", backend, "--seed", str(seed), *places,
             *(["--set", *settings] if settings else []))
    seconds = time.perf_counter() - began
    status = json.loads(colab_rl("status", run, "--json", *places))
    score = json.loads(colab_rl("evaluate", run, "--episodes", "100", "--json", *places))
    return {"env": env, "algorithm": algorithm, "backend": backend, "seed": seed, "seconds": seconds,
            "step": status["step"], **score, "shares": shares(root / run)}


def summary(rows: list[dict], target: float | None) -> dict:
    """What all seeds come to."""
    scores, seconds = np.array([row["mean"] for row in rows]), np.array([row["seconds"] for row in rows])
    iqm, low, high = map(float, iqm_interval(scores[:, None]))
    found = {"seeds": len(rows), "interquartile_mean": iqm, "low": low, "high": high,
             "worst": float(scores.min()), "worst_seed": rows[int(scores.argmin())]["seed"],
             "median_seconds": float(np.median(seconds)), "worst_seconds": float(seconds.max())}
    return found if target is None else {**found, "target": target, "at_target": int((scores >= target).sum())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="BipedalWalker-v3")
    parser.add_argument("--algo", default="ppo")
    parser.add_argument("--backend", choices=("gymnasium", "envpool"), default="gymnasium")
    parser.add_argument("--seeds", nargs="+", default=["1000-1019"], metavar="SEED")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--root", type=pathlib.Path, help="keep the runs in this folder")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    seeds = list(parse_seeds(",".join(options.seeds)))
    print(f"seeds {', '.join(map(str, seeds))}" + ("" if min(seeds) >= UNTUNED else
                                                   "; those below 1000 are for tuning, and no result"), flush=True)
    target = next((float(value) for key, _, value in (word.partition("=") for word in options.set)
                   if key == "target_score"), None)
    rows: list[dict] = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            root = options.root or pathlib.Path(folder)
            root.mkdir(parents=True, exist_ok=True)
            rows.append(row := measure(options.env, options.algo, options.backend, seed, options.set, root))
        parts = ", ".join(f"{part} {share:.1f} %" for part, share in row["shares"].items())
        print(f"{row['env']} seed {seed}: {row['mean']:.1f} +- {row['std']:.1f} (min {row['min']:.1f}) after "
              f"{row['step']:,} steps, {row['seconds']:.0f} s ({row['step'] / row['seconds']:.0f} steps/s); {parts}",
              flush=True)
        if options.json:  # what is known so far, if this is cut off
            options.json.write_text(json.dumps({"summary": summary(rows, target), "runs": rows}, indent=1))
    found = summary(rows, target)
    print("interquartile mean {interquartile_mean:.1f} (95 % interval {low:.1f} to {high:.1f}) over {seeds} seeds; "
          "worst {worst:.1f}, seed {worst_seed}; "
          "median {median_seconds:.0f} s, worst {worst_seconds:.0f} s".format(**found)
          + (f"; {found['at_target']} of {found['seeds']} at {target:g} and more" if target is not None else ""))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest single process {peak:.0f} MB")


if __name__ == "__main__":
    main()
