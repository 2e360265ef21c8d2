"""Fixtures of every test file."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rclone_mount
from rclone_mount import Mount

# Their asserts say what was compared, as those of test files do.
pytest.register_assert_rewrite("sabotage", "stored_runs")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: a quarter of the time, a test waits for a store, a browser or a kernel."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_finish() -> None:
    """Takes what was imported out of the collector's work: torch's part of it costs a twentieth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_pauses_between_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks again at an empty listing does so at once."""
    monkeypatch.setattr("colab_rl.storage.base.RETRY_PAUSES", (0.0, 0.0))


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """One worker each for training and evaluation: their number changes nothing, and starting them is what costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda process: {0})
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As in a run: how sums are split among threads decides their last bits."""
    import torch  # most tests need none

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def outlives_sigterm() -> Iterator[None]:
    """A run that is over before its SIGTERM comes must fail its test, and not end pytest."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """One for all tests of a file, each in a folder of its own: mounting takes longer than most of them."""
    if rclone_mount.MISSING:
        pytest.skip(rclone_mount.MISSING)
    mount = Mount(tmp_path_factory.mktemp("mounted"), "1s")
    try:
        mount.mount()
        yield mount
    finally:
        mount.unmount()


@pytest.fixture
def run_cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_cli("train", "walker")`: the command line, with its runs in tmp_path/runs and no store."""
    def run(*args: Any, **kw: Any) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "COLAB_RL_ROOT": str(tmp_path / "runs"), "COLAB_RL_STORE": "none", **kw.pop("env", {})}
        options = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 240, **kw}
        return subprocess.run([sys.executable, "-m", "colab_rl", *map(str, args)], env=env, **options)
    return run
