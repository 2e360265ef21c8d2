"""Checks and measures training on a CUDA GPU, within eight minutes.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --only speed

    agreement  the same update on CPU and GPU from the same state: the largest difference of a parameter after it, in
               learning rates. Beside it, what the CPU alone makes of parameters that differ in their last bit. After
               one step it may be a hundredth, after a hundred ten: a parameter moves by up to a rate in each
    resume     kills.py on the GPU: a run that is killed ends in the state_sha256 of one that is not
    speed      updates at the walker's presets and with larger networks, sampling and copying included. The written-out
               gradient with and without CUDA graphs, and autograd
    solve      SAC's preset until it scores 300 (seed 1000), on both devices at the same time

Without a GPU it does on the CPU what can be done there, and says so. It measures no images: no algorithm here has
been made fast for them on a GPU.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import kills
import torch
from solve import shares

from colab_rl.algorithms.on_policy import OnPolicyAlgorithm
from colab_rl.algorithms.registry import algorithm_class, make_config, preset
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.checkpoints.serialization import deserialize, serialize
from colab_rl.environments import describe
from colab_rl.environments.backends import make_vector_environment, reason_not_available
from colab_rl.machine import versions

ENV = "BipedalWalker-v3"
SPACES = describe(ENV)
BACKEND = "gymnasium" if reason_not_available("envpool", ENV, SPACES) else "envpool"
NETWORKS = ((64, 64), (128, 128), (256, 256), (400, 300))  # of SAC; the second is the preset's
CAP = 240  # seconds that `solve` takes at most


class Start:
    """A learner that is in the middle of training, and copies of it on any device."""

    def __init__(self, algorithm: str, iterations: int, **settings: Any):
        self.algorithm = algorithm
        self.config = make_config(algorithm, {**preset(ENV, algorithm), **settings})
        learner = self._make(self.config, "cpu")
        with make_vector_environment(BACKEND, ENV, SPACES, self.config.num_envs, 0) as envs:
            envs.reset()
            for _ in range(iterations):
                learner.collect(envs)
                learner.update(0.1)
            learner.collect(envs)
        self._state = serialize(learner.state_dict())
        self._rows = learner.replay and learner.replay.rows(learner.replay.first, learner.replay.end)
        self._rollout = getattr(learner, "rollout", None)

    def copy(self, device: str, **changes: Any) -> Any:
        """One that continues from there, with other settings if they are given."""
        learner = self._make(dataclasses.replace(self.config, **changes), device)
        learner.load_state_dict(deserialize(self._state))
        if self._rows:
            learner.replay.restore([(0, self._rows)])
        if isinstance(learner, OnPolicyAlgorithm):
            learner.rollout = self._rollout
        return learner

    def _make(self, config: Any, device: str) -> Any:
        return algorithm_class(self.algorithm)(config, SPACES, torch.device(device))


def parameters(learner: Any) -> torch.Tensor:
    return torch.cat([optimizer.flat.detach().cpu() for optimizer in learner.optimizers.values()])


def agreement(device: str) -> list[dict]:
    """Largest differences of parameters, in learning rates."""
    sac = Start("sac", 12, learning_starts=2048)
    ppo = Start("ppo", 3)
    each, rows = sac.config.num_envs * sac.config.num_steps, ppo.config.num_envs * ppo.config.num_steps
    found = []
    for what, start, allowed, changes in (
            ("SAC, 1 gradient step", sac, 0.01, {"replay_ratio": 1 / each}),
            ("SAC, 100 gradient steps", sac, 10, {"replay_ratio": 100 / each}),
            ("PPO, 1 gradient step", ppo, 0.01, {"minibatch_size": rows, "update_epochs": 1}),
            ("PPO, 104 gradient steps", ppo, 10, {"minibatch_size": rows // 8, "update_epochs": 13})):
        here, other, disturbed = (start.copy(name, **changes) for name in ("cpu", device, "cpu"))
        for optimizer in disturbed.optimizers.values():
            flat = optimizer.flat.data
            flat.copy_(torch.nextafter(flat, torch.full_like(flat, torch.inf)))
        for learner in (here, other, disturbed):
            learner.update(0.1)
        rate = next(iter(here.optimizers.values())).learning_rate
        difference, last_bit = (float((parameters(learner) - parameters(here)).abs().max()) / rate
                                for learner in (other, disturbed))
        found.append({"what": what, "device": device, "difference": difference, "difference_of_last_bit": last_bit,
                      "agrees": difference <= allowed})
        print(f"  {what:24} {device} against cpu: {difference:.2g} learning rates (last bit of the start: "
              f"{last_bit:.2g}) {'' if found[-1]['agrees'] else 'DISAGREES'}", flush=True)
    return found


def resume(device: str) -> list[dict]:
    """SAC and PPO at the same time, each killed three times."""
    def killed(algorithm: str) -> dict:
        more = ["replay_ratio=0.1", "layer_norm=True"] if algorithm == "sac" else []
        options = argparse.Namespace(algo=algorithm, backend=BACKEND, device=device, kills=3, seed=0, where=False,
                                     iterations=50, set=more, env_set=[])
        with tempfile.TemporaryDirectory() as folder:
            return kills.measure(ENV, options, pathlib.Path(folder))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(killed, ("sac", "ppo")))
    for row in found:
        equal = row["equal"] and row["exact"]
        print(f"  {row['algo']} on {device}: {row['kills']} kills in {row['sessions']} sessions: "
              f"{'equal' if equal else 'DIFFERENT'}", flush=True)
    return found


def speed(device: str) -> list[dict]:
    """Gradient steps a second of whole updates: medians of up to five updates, after one that warms up."""
    devices = list(dict.fromkeys(["cpu", device]))
    found = []

    def add(what: str, device: str, how: str, gradient_steps: int, update: Callable[[], Any]) -> None:
        times = []
        for _ in range(6):
            began = time.perf_counter()
            update()  # its metrics are read at the end, so the GPU is done
            times.append(time.perf_counter() - began)
            if len(times) > 2 and sum(times) > 2:
                break
        seconds = statistics.median(times[1:])
        found.append({"what": what, "device": device, "how": how, "update_seconds": seconds,
                      "gradient_steps_per_second": gradient_steps / seconds})
        print(f"  {what:28} {device:4} {how:11} {gradient_steps / seconds:8.0f} gradient steps/s "
              f"({1000 * seconds / gradient_steps:.3f} ms each)", flush=True)

    for sizes in NETWORKS:
        start = Start("sac", 8, learning_starts=100_000, hidden_sizes=sizes)
        for name in devices:
            for how in ("graphs", "written out", "autograd"):
                if how == "graphs" and name == "cpu":
                    continue
                learner = start.copy(name, learning_starts=0)
                learner._graph = learner._graph if how == "graphs" else None
                learner._fused = how != "autograd"
                add(f"SAC {sizes[0]}-{sizes[1]} minibatch 256", name, how, learner.config.gradient_steps,
                    lambda learner=learner: learner.update(0.1))
    start = Start("ppo", 1)
    for name in devices:
        learner = start.copy(name, learning_rate=1e-12)  # or the policy would run away
        config = learner.config
        steps = config.update_epochs * -(-config.num_envs * config.num_steps // config.minibatch_size)
        add("PPO preset", name, "written out", steps, lambda learner=learner: learner.update(0.1))
    return found


def solve(device: str) -> list[dict]:
    """Seconds of the whole command."""
    def run(name: str) -> dict:
        with tempfile.TemporaryDirectory() as folder:
            places = ["--root", folder, "--store", "none"]
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "colab_rl", "train", "run", "--algo", "sac", "--env", ENV, "--device", name,
                 "--backend", BACKEND, "--seed", "1000", "--set", "target_score=300", *places],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(CAP)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                process.wait()
            seconds = time.perf_counter() - began
            status = json.loads(subprocess.run([sys.executable, "-m", "colab_rl", "status", "run", "--json", *places],
                                               capture_output=True, text=True).stdout)
            return {"device": name, "seconds": seconds, "reached": status["finished"], "step": status["step"],
                    "score": status["best_score"], "shares": shares(pathlib.Path(folder) / "run")}

    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = list(pool.map(run, ("cpu", device)))
    for row in found:
        parts = ", ".join(f"{part} {share:.0f} %" for part, share in row["shares"].items())
        print(f"  SAC's preset on {row['device']}: {'300 reached' if row['reached'] else 'stopped'} after "
              f"{row['seconds']:.0f} s, {row['step']:,} steps, best score {row['score']}; {parts}", flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"agreement": agreement, "resume": resume, "speed": speed, "solve": solve}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    machine = versions(device, 1, BACKEND)
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    if device == "cpu":
        print("no CUDA GPU here: the CPU is compared with itself, and nothing is solved", flush=True)
    torch.set_num_threads(1)
    found: dict[str, Any] = {"machine": machine}
    for name in options.only:
        if name == "solve" and device == "cpu":
            continue
        print(name, flush=True)
        began = time.perf_counter()
        with plain_torch(THREADS, device):
            found[name] = parts[name](device)
        print(f"  ({time.perf_counter() - began:.0f} s)", flush=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))
    wrong = [row for row in found.get("agreement", []) if not row["agrees"]]
    wrong += [row for row in found.get("resume", []) if not (row["equal"] and row["exact"])]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
