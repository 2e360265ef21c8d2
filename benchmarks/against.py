"""Training's speed here against another checkout's, interleaved in one run.

    python benchmarks/against.py OTHER_CHECKOUT --rounds 20

OTHER_CHECKOUT is a folder with another version of this repository. Both run in this Python, each in its own process,
and take turns. The walker by its presets: an iteration of PPO on EnvPool, and the update of an
iteration of SAC. Seconds are of the processor, of all threads, which other programs disturb less than a clock's.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parents[1]
ENV = "BipedalWalker-v3"


def serve(algorithm: str) -> None:
    """Answers each line of standard input with the seconds that an iteration took; in the process of one version."""
    import torch

    try:
        from colab_rl.algorithms.registry import algorithm_class, make_config, preset
    except ImportError:  # version 0.1.0
        from colab_rl.config import make_config
        from colab_rl.presets import preset

        from colab_rl.algorithms import ALGORITHMS

        algorithm_class = ALGORITHMS.__getitem__
    from colab_rl.environments import describe
    from colab_rl.environments.backends import make_vector_environment

    torch.set_num_threads(1)
    at_once = {"learning_starts": 256} if algorithm == "sac" else {}
    config = make_config(algorithm, {**preset(ENV, algorithm), **at_once})
    spaces = describe(ENV)
    learner = algorithm_class(algorithm)(config, spaces, torch.device("cpu"))
    with make_vector_environment("envpool", ENV, spaces, config.num_envs, 0) as envs:
        envs.reset()
        for _ in sys.stdin:
            began = time.process_time()
            learner.collect(envs)
            began = time.process_time() if algorithm == "sac" else began
            learner.update(0.1)
            print(time.process_time() - began, flush=True)


def start(checkout: pathlib.Path, algorithm: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, "--serve", algorithm], text=True, stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(checkout)})


def ask(process: subprocess.Popen[str]) -> float:
    assert process.stdin and process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=pathlib.Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve)
    found = {}
    for algorithm in ("ppo", "sac"):
        pair = [start(checkout, algorithm) for checkout in (HERE, options.other.resolve())]
        for process in pair:
            for _ in range(4):  # until it learns, and its caches are warm
                ask(process)
        rounds = [[ask(process) for process in pair] for _ in range(options.rounds)]
        here, other = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratios = statistics.quantiles([two / one for one, two in rounds], n=4)
        found[algorithm] = {"seconds": here, "seconds_of_other": other, "speed_over_other": ratios[1],
                            "quartiles": [ratios[0], ratios[2]]}
        for process in pair:
            process.kill()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
