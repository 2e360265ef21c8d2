"""Trains an environment's preset from nothing, over several seeds, and scores the best checkpoint of each.

    python benchmarks/solve.py --env BipedalWalker-v3 --seeds 0 1 2 --json solve.json
    python benchmarks/solve.py --backend envpool --seeds 0 1 2 3 4 --set target_score=300   # time to a score

Wall time is the whole `train` command's, start-up, evaluations and checkpoints included. The
score is that of `evaluate --episodes 100`: episodes that training never evaluated on.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="BipedalWalker-v3")
    parser.add_argument("--algo", choices=("ppo", "sac", "tqc"), default="ppo")
    parser.add_argument("--backend", choices=("gymnasium", "envpool"), default="gymnasium")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--root", type=pathlib.Path, help="keep the runs in this folder")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            root = options.root or pathlib.Path(folder)
            root.mkdir(parents=True, exist_ok=True)
            rows.append(row := measure(options.env, options.algo, options.backend, seed, options.set, root))
        parts = ", ".join(f"{part} {share:.1f} %" for part, share in row["shares"].items())
        print(f"{row['env']} seed {seed}: {row['mean']:.1f} +- {row['std']:.1f} (min {row['min']:.1f}) after "
              f"{row['step']:,} steps, {row['seconds']:.0f} s ({row['step'] / row['seconds']:.0f} steps/s); {parts}",
              flush=True)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"largest single process {peak:.0f} MB")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
