"""Sessions of a small run with a store: undisturbed, killed, or overtaken."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_drive import FakeDrive
from helpers import LONG, TINY

from colab_rl import ColabRLError, status, train
from colab_rl.checkpoints.claim import Claim
from colab_rl.progress import Watcher
from colab_rl.settings import parse_settings

IDENTITY = b'{"format": 1, "name": "walker"}'
STEPS = 500


def session(root: Path, store: str, steps: int = STEPS, watcher: Watcher | None = None):
    return train("cart", env="CartPole-v1", backend="gymnasium", total_steps=steps, root=root, store=store,
                 settings=parse_settings(TINY), watcher=watcher)


def killed(root: Path, store: str, after: Callable[[], bool], steps: int = STEPS) -> None:
    """A session in a process of its own, killed once `after` holds."""
    command = [sys.executable, "-m", "colab_rl", "train", "cart", "--env", "CartPole-v1", "--backend", "gymnasium",
               "--total-steps", str(steps), "--root", str(root), "--store", store, "--set", *TINY]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + LONG
    while not after() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert time.monotonic() < deadline


def manifests(drive: FakeDrive) -> list[str]:
    return sorted(name for name in drive.tree() if "/checkpoints/" in name and name.endswith(".json"))


def check_overtaken(root: Path, store: str, has_generation: Callable[[int], bool], claim: Callable[[], Claim]) -> None:
    """A session trains on `store`; once it has saved twice there, another one claims the run, and it stops."""
    taken = threading.Event()

    def take() -> None:
        while not has_generation(3):
            time.sleep(0.01)
        claim().take()
        taken.set()

    threading.Thread(target=take, daemon=True).start()
    with pytest.raises(ColabRLError, match=r"newer session has the run.*stopped; kept here: generation \d") as caught:
        session(root, store, steps=20_000)
    assert caught.value.exit_code == 1
    assert taken.is_set()
    found, = status("cart", root=root, store="none")
    assert not found["finished"] and found["checkpoints"][0]["local"] == "verified"
