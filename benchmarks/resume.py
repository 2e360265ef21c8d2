"""Seconds from the start of `train` to its first new step, and memory of all its processes together.

    python benchmarks/resume.py --root runs --run walker --times 5

The run must exist and be unfinished (stop or kill it first). Each session is killed once it has trained for
a few seconds, so that the next one resumes.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import time


def memory_of(pid: int) -> float:
    """Megabytes of a process and its children; what they share is counted once (Pss)."""
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        total = 0.0
        for process in (str(pid), *children):
            lines = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
        return total
    except OSError:
        return 0.0


def processor_seconds(pid: int) -> float:
    """Of a process so far, in user and kernel mode, without its children."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(run: str, root: pathlib.Path, seconds: float) -> tuple[float, float, float]:
    """Seconds to the first new step by the clock and of the trainer's processor, and megabytes after it."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "colab_rl", "train", run, "--root", str(root)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "continuing from generation" in line:  # said when everything is restored; the next thing is a step
            break
    else:
        raise SystemExit(f"{run} did not resume: is it finished?")
    resumed, processor = time.perf_counter() - began, processor_seconds(process.pid)
    memory, until = 0.0, time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        memory = max(memory, memory_of(process.pid))
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return resumed, processor, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("runs"))
    parser.add_argument("--run", default="walker")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0, help="of training after each resume")
    options = parser.parse_args()
    for _ in range(options.times):
        resumed, processor, memory = measure(options.run, options.root, options.seconds)
        print(f"first new step after {resumed:.1f} s ({processor:.1f} s of the trainer's processor); "
              f"{memory:.0f} MB in all processes", flush=True)


if __name__ == "__main__":
    main()
