"""Processor seconds of a gradient step of TQC over those of SAC, at the walker's preset of SAC.

    python benchmarks/tqc.py --rounds 12 --critics 2 3 5

Both learn from the same random transitions, on one thread, and take turns.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch

from colab_rl.algorithms.registry import algorithm_class, make_config, preset
from colab_rl.environments import describe

ENV, ROWS = "BipedalWalker-v3", 2500


def make(name: str, **settings: int):
    """A learner with a full buffer."""
    config = make_config(name, {**preset(ENV, "sac"), "learning_starts": 0, "buffer_size": 8 * ROWS, **settings})
    spaces, rng = describe(ENV), np.random.default_rng(0)
    learner = algorithm_class(name)(config, spaces, torch.device("cpu"))
    learner.replay.begin(rng.normal(size=(8, 24)))
    for _ in range(ROWS):
        learner.replay.append(rng.uniform(-1, 1, (8, 4)), rng.normal(size=8), rng.random(8) < 0.01, np.ones(8, bool),
                              rng.normal(size=(8, 24)))
    learner.steps = 8 * ROWS
    return learner


def seconds(learner) -> float:
    """Of a gradient step."""
    began = time.process_time()
    learner.update(0.1)
    return (time.process_time() - began) / learner.config.gradient_steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--critics", type=int, nargs="+", default=[2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    learners = [make("sac"), *(make("tqc", critics=number) for number in options.critics)]
    for learner in learners:
        learner.update(0.1)
    rounds = [[seconds(learner) for learner in learners] for _ in range(options.rounds)]
    for i, number in enumerate(options.critics, 1):
        low, middle, high = statistics.quantiles([row[i] / row[0] for row in rounds], n=4)
        milliseconds = 1e3 * statistics.median(row[i] for row in rounds)
        print(f"TQC with {number} Q networks: {milliseconds:.2f} ms, {middle:.2f} times SAC's (quartiles {low:.2f}, "
              f"{high:.2f})")


if __name__ == "__main__":
    main()
