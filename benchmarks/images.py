"""A pass through convolutions and back, by one thread, by torch's second one, and by halves of the minibatch.

    python benchmarks/images.py --rounds 5
    python benchmarks/images.py --rounds 5 --beside 1     # while another program keeps a core busy

Milliseconds of 128 pictures of 4 x 96 x 96 by the clock, the median of the rounds, which take turns.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import torch

from colab_rl.algorithms.ppo.config import PPOConfig
from colab_rl.environments.spaces import ObservationSpec
from colab_rl.networks.base import recorded
from colab_rl.networks.halves import recorded_in_halves
from colab_rl.networks.registry import make_network

IMAGES, ROWS, PASSES = ObservationSpec((4, 96, 96), "uint8"), 128, 5
WAYS = {"one thread": (recorded, 1), "torch's two threads": (recorded, 2), "halves": (recorded_in_halves, 1)}


def main() -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", choices=["nature", "impala"], default="nature")
    parser.add_argument("--beside", type=int, default=0, help="programs that keep a core busy meanwhile")
    options = parser.parse_args()
    config = PPOConfig(hidden_sizes=(256,), activation="relu", cnn_size=options.size)
    network = make_network(config, IMAGES, 4, 1.0, torch.Generator().manual_seed(0))
    images = torch.randint(0, 256, (ROWS, *IMAGES.shape), dtype=torch.uint8)
    gradient = torch.randn(ROWS, 4)
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.beside)]
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    try:
        for _ in range(options.rounds):
            for way, (vjp, threads) in WAYS.items():
                torch.set_num_threads(threads)
                started = time.perf_counter()
                for _ in range(PASSES):
                    with torch.no_grad():
                        vjp(network, images)[1](gradient)
                times[way].append((time.perf_counter() - started) / PASSES * 1000)
    finally:
        for other in others:
            other.kill()
    for way, found in times.items():
        print(f"{way:20} {statistics.median(found):6.1f} ms  ({min(found):.1f} to {max(found):.1f})")


if __name__ == "__main__":
    main()
