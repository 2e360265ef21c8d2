"""Frames a second from policy to encoded file, beside the bare `rgb_array` rate of the environment; size and memory.

    python benchmarks/video.py walker --root runs --rounds 3 --json video.json

The film is `render` whole: reading the checkpoint, running the episode, playing it again, drawing, encoding. The bare
rate is the same episode played again and rendered, and its pictures thrown away. They take turns. Where other programs
want the cores too, the share by this process's own time says more than the one by the clock.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import statistics
import tempfile
import time

from colab_rl import record, render
from colab_rl.evaluation.replay import replay
from colab_rl.views.video.reels import Camera


def bare(run: str, root: str, seed: int) -> tuple[float, float]:
    """Frames a second of the environment alone, and a second of this process's own time."""
    episode = record(run, seed=seed, root=root, store="none")
    camera = Camera(episode.environment)
    began, worked = time.perf_counter(), time.process_time()
    for _ in replay(camera.environment, episode):
        camera.environment.render()
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    camera.close()
    return (episode.length + 1) / seconds, (episode.length + 1) / work


def film(run: str, root: str, seed: int, path: pathlib.Path, size: int) -> dict:
    began, worked = time.perf_counter(), time.process_time()
    video = render(run, seed=seed, root=root, store="none", out=path, overwrite=True, size=size)
    seconds, work = time.perf_counter() - began, time.process_time() - worked
    return {"frames": video.frames, "frames_per_second": video.frames / seconds,
            "frames_per_own_second": video.frames / work, "size": video.size, "megabytes": path.stat().st_size / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--root", default="runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "film.mp4")
        film(options.run, options.root, options.seed, path, options.size)  # imports, caches
        for _ in range(options.rounds):
            rate, own = bare(options.run, options.root, options.seed)
            made = film(options.run, options.root, options.seed, path, options.size)
            rounds.append({**made, "bare": rate, "share": made["frames_per_second"] / rate,
                           "share_of_own_time": made["frames_per_own_second"] / own})
            print(f"{made['frames']} frames at {made['frames_per_second']:.1f} frames/s, bare {rate:.1f}: "
                  f"{100 * rounds[-1]['share']:.0f} %, {100 * rounds[-1]['share_of_own_time']:.0f} % by this process's "
                  f"own time; {made['megabytes']:.2f} MB", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(f"median {statistics.median(one['frames_per_second'] for one in rounds):.1f} frames/s, "
          f"{100 * statistics.median(one['share'] for one in rounds):.0f} % of the bare rate; "
          f"at most {memory:.0f} MB in Python")
    if options.json:
        options.json.write_text(json.dumps({"rounds": rounds, "megabytes_of_memory": memory}, indent=1))


if __name__ == "__main__":
    main()
