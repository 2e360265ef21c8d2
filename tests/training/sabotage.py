"""A machine whose run can be stopped, killed and damaged, and sessions in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import pytest
from helpers import TINY
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colab_rl import TrainingResult, train
from colab_rl.settings import parse_settings
from colab_rl.training.metrics import from_csv

# The environments defined below reach the workers by value, as those of a notebook's cell do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SETTINGS = parse_settings(TINY)
ENVIRONMENTS = ["CartPole-v1", "BipedalWalker-v3"]
STEPS = 900  # fifteen iterations
either_environment = pytest.mark.parametrize("env_id", ENVIRONMENTS)


class Meanwhile:
    """A watcher that does something after so many iterations."""

    def __init__(self, iteration: int, deed: Callable[[], object]):
        self.iteration, self.deed = iteration, deed

    def past(self, row: dict) -> None:
        pass

    def goal(self, total_steps: int) -> None:
        pass

    def row(self, row: dict, where: str) -> None:
        if row["iteration"] == self.iteration:
            self.deed()


class Sabotaged(gymnasium.Wrapper):
    """Does what the file `plot` says, `STEP DEED`, when it has taken STEP steps; once, and never without the file."""

    def __init__(self, env: gymnasium.Env, plot: Path):
        super().__init__(env)
        self.plot, self.taken = plot, 0

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict]:
        self.taken += 1
        result = self.env.step(action)
        deed = self.due()
        if deed == "kill worker":
            os.kill(os.getpid(), signal.SIGKILL)
        elif deed == "stop trainer":
            os.kill(os.getppid(), signal.SIGTERM)
        elif deed == "nan":
            return result[0], float("nan"), *result[2:]
        elif deed == "vast":
            return result[0], 1e39, *result[2:]
        elif deed == "raise":
            raise RuntimeError("the joint came off")
        return result

    def due(self) -> str:
        try:
            step, deed = self.plot.read_text().split(maxsplit=1)
            if self.taken == int(step):
                self.plot.unlink()
                return deed
        except FileNotFoundError:
            pass
        return ""


class Machine:
    """A folder for runs, and an environment that can be told to misbehave."""

    def __init__(self, folder: Path, env_id: str = "CartPole-v1", store: Path | None = None):
        self.root, self.store, self.plot = folder / "runs", store, folder / "plot"
        plot = self.plot

        def sabotaged() -> gymnasium.Env:
            return Sabotaged(gymnasium.make(env_id), plot)

        self.env = sabotaged

    def train(self, run: str = "walker", deed: str | None = None, **options: Any) -> TrainingResult:
        if deed:
            self.plot.parent.mkdir(parents=True, exist_ok=True)
            self.plot.write_text(deed)
        settings = {**SETTINGS, **options.pop("settings", {})}
        options = {"env": self.env, "settings": settings, "root": self.root, "store": self.store or "none", **options}
        if not {"origin", "source"} & set(options):
            options.setdefault("total_steps", STEPS)
        return train(run, **options)

    def files(self, pattern: str = "checkpoints/*.json", run: str = "walker") -> list[Path]:
        return sorted((self.root / run).glob(pattern))

    def rows(self, run: str = "walker") -> list[dict[str, float]]:
        """The run's metrics, as its newest manifest names them."""
        manifest = json.loads(self.files(run=run)[-1].read_text())
        names = sorted(name for name in {**manifest["history"], **manifest["files"]} if name.startswith("metrics/"))
        return [row for name in names for row in from_csv((self.root / run / name).read_bytes())]

    def shown(self, run: str = "walker", tag: str = "loss/value") -> list[int]:
        """The steps at which TensorBoard shows a point."""
        folder = self.root / "tensorboard" / run
        if not folder.exists():
            return []
        accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        accumulator.Reload()
        return [event.step for event in accumulator.Scalars(tag)] if tag in accumulator.Tags()["scalars"] else []

    def copy(self, folder: Path) -> Machine:
        """Another machine that holds the same files."""
        shutil.copytree(self.root, folder / "runs")
        other = Machine(folder)
        other.env = self.env
        return other


def check_history(machine: Machine, result: TrainingResult, run: str = "walker") -> None:
    """Every iteration is there once, in the tables and in TensorBoard."""
    rows = machine.rows(run)
    assert [row["iteration"] for row in rows] == list(range(1, result.iteration + 1))
    assert [row["step"] for row in rows] == sorted({row["step"] for row in rows})
    assert machine.shown(run) == [row["step"] for row in rows]


@contextlib.contextmanager
def session(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command `train` in a process of its own, killed at the end if it still runs."""
    env = {**os.environ, "COLAB_RL_ROOT": str(folder / "runs"), "COLAB_RL_STORE": "none"}
    with subprocess.Popen([sys.executable, "-m", "colab_rl", "train", *arguments], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def newest_generation(run: Path) -> int:
    return max((int(path.name[:8]) for path in run.glob("checkpoints/[0-9]*.json")), default=0)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Until the condition holds; the process must not end before."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
