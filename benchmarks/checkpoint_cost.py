"""Checkpoints of SAC with a full replay buffer: bytes and seconds of a save, and of continuing from it.

    python benchmarks/checkpoint_cost.py --transitions 1000000 --every 10000 --saves 10

A run of the BipedalWalker-v3 preset whose buffer is filled with random transitions, saved into a folder and a folder as
its store; then the command `train` continues from it. Learning is left out: what matters is how much there is to save.
"""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import statistics
import tempfile
import time

import numpy as np
import torch
from resume import measure as resume

from colab_rl.algorithms.registry import algorithm_class
from colab_rl.arithmetic import plain_torch
from colab_rl.checkpoints import Tier
from colab_rl.environments import describe
from colab_rl.environments.backends import make_vector_environment
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.machine import versions
from colab_rl.runs.identity import write_identity
from colab_rl.runs.places import Places
from colab_rl.training.request import Request
from colab_rl.training.tensorboard import TensorBoardView
from colab_rl.training.trainer import Recorder, Trainer

ENV = "BipedalWalker-v3"


def fill(trainer: Trainer, transitions: int, rng: np.random.Generator) -> None:
    """Adds random transitions, as `collect` does."""
    replay, num_envs = trainer.algorithm.replay, trainer.config.num_envs
    (obs_dim,) = trainer.envs.spaces.observation.shape
    replay.begin(rng.normal(size=(num_envs, obs_dim)))
    for _ in range(transitions // num_envs):
        replay.append(rng.uniform(-1, 1, (num_envs, trainer.envs.spaces.action_dim)), rng.normal(size=num_envs),
                      rng.random(num_envs) < 0.001, np.ones(num_envs, bool), rng.normal(size=(num_envs, obs_dim)))
    trainer.algorithm.steps = trainer.step = trainer.step + transitions
    trainer.iteration += transitions // (num_envs * trainer.config.num_steps)


def written(folder: pathlib.Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transitions", type=int, default=1_000_000)
    parser.add_argument("--every", type=int, default=10_000, help="steps between checkpoints")
    parser.add_argument("--saves", type=int, default=10)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    settings = {"total_steps": 10_000_000, "buffer_size": options.transitions,
                **dict(assignment.split("=") for assignment in options.set)}
    rng, spaces = np.random.default_rng(0), describe(ENV)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        places = Places(folder, "none")
        identity, _ = Request(run="full", env=ENV, algo="sac", settings=settings).begin()
        config = identity.make_config()
        local = places.local("full")
        local.root.mkdir(parents=True)
        write_identity(identity, local, None)
        stack.enter_context(plain_torch(identity.threads))
        envs = stack.enter_context(make_vector_environment(identity.backend, ENV, spaces, config.num_envs, 0))
        evaluator = stack.enter_context(contextlib.closing(Evaluator(ENV, spaces)))
        tensorboard = stack.enter_context(contextlib.closing(TensorBoardView(places.tensorboard("full"), [])))
        algorithm = algorithm_class("sac")(config, spaces, torch.device("cpu"))
        recorder = Recorder(identity.run_id, Tier(local, identity.run_id), None, tensorboard,
                            versions("cpu", identity.threads, identity.backend))
        trainer = Trainer("full", config, config.total_steps, algorithm, envs, evaluator, recorder)
        envs.reset()
        seconds, sizes, processor = [], [], []
        for _ in range(options.transitions // options.every + options.saves):
            fill(trainer, options.every, rng)
            if envs.renew(trainer.iteration):
                algorithm.cut_episodes()
            before, began, began_processor = written(local.root), time.perf_counter(), time.process_time()
            trainer.save()
            seconds.append(time.perf_counter() - began)
            processor.append(time.process_time() - began_processor)
            sizes.append(sum(size for name, size in written(local.root).items() if name not in before))
        assert trainer.manifest is not None and algorithm.replay is not None
        last = slice(-options.saves, None)
        held = algorithm.replay.transitions
        print(f"{held:,} transitions held, {algorithm.replay.nbytes / 1e6:.0f} MB in memory, "
              f"{len(trainer.manifest.segments)} segments, {sum(written(local.root).values()) / 1e6:.0f} MB on disk")
        print(f"a checkpoint every {options.every:,} steps: {max(sizes[last]) / 1e6:.2f} MB written at most, "
              f"{statistics.median(seconds[last]):.2f} s by the clock ({max(seconds[last]):.2f} at most), "
              f"{statistics.median(processor[last]):.2f} s of the processor")
        stack.close()
        for _ in range(3):
            resumed, of_processor, memory = resume("full", pathlib.Path(folder), 2.0)
            print(f"first new step after {resumed:.1f} s ({of_processor:.1f} s of the trainer's processor); "
                  f"{memory:.0f} MB in all processes", flush=True)


if __name__ == "__main__":
    main()
