"""How long `status` of many runs takes, and how many calls to Drive: on this machine, and with 100 ms a call.

    python benchmarks/listing.py --runs 500
    python benchmarks/listing.py --runs 40 --package ../other/checkout     the same with another version's code

One short run is trained, and copied. The Drive is that of the tests, over real HTTP. Seconds are those of the whole
command in a process of its own, on a machine that holds no run.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fake_drive import FakeDrive  # noqa: E402

SETTINGS = ("num_envs=2", "num_steps=32", "minibatch_size=32", "update_epochs=1", "checkpoint_every=2", "eval_every=4",
            "eval_episodes=1", "hidden_sizes=8")


def command(package: pathlib.Path, *arguments: str, endpoint: str = "") -> str:
    env = {**os.environ, "PYTHONPATH": str(package), "COLAB_RL_DRIVE_ENDPOINT": endpoint}
    return subprocess.run([sys.executable, "-m", "colab_rl", *arguments], env=env, cwd=package, check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def measured(package: pathlib.Path, *arguments: str, endpoint: str = "") -> dict:
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    runs = json.loads(command(package, *arguments, "status", "--json", endpoint=endpoint))
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": round(time.perf_counter() - began, 2), "runs": len(runs),
            "seconds of the processor": round(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, 2),
            "checkpoints": sum(len(run["checkpoints"]) for run in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--latency", type=float, default=0.1, help="seconds a call to Drive")
    parser.add_argument("--package", type=pathlib.Path, default=ROOT, help="a checkout (default: this one)")
    options = parser.parse_args()
    package = options.package.resolve()
    with tempfile.TemporaryDirectory() as folder, FakeDrive() as drive:
        one, many, bare = (pathlib.Path(folder, name) for name in ("one", "many", "bare"))
        command(package, "--root", str(one), "--store", "none", "train", "run", "--env", "CartPole-v1", "--backend",
                "gymnasium", "--total-steps", "2500", "--set", *SETTINGS)
        files = {path.relative_to(one / "run").as_posix(): path.read_bytes()
                 for path in sorted((one / "run").rglob("*")) if path.is_file()}
        store = drive.add("colab_rl", None)
        for number in range(options.runs):
            name = f"run{number:04}"
            shutil.copytree(one / "run", many / name)
            top, folders = drive.add(name, None, parent=store.id), {}
            for path, data in files.items():
                above, _, title = path.rpartition("/")
                if above not in folders:
                    folders[above] = drive.add(above, None, parent=top.id).id if above else top.id
                drive.add(title, data, parent=folders[above])
        found = {"local": measured(package, "--root", str(many), "--store", "none")}
        drive.latency = options.latency
        drive.calls.clear()
        found["drive"] = measured(package, "--root", str(bare), "--store", "drive:colab_rl", endpoint=drive.url)
        found["drive"]["calls"] = dict(collections.Counter(kind for kind, _ in drive.calls))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
