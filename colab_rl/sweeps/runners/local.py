"""Runs in processes of this machine, each on cores of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from colab_rl.machine import cores
from colab_rl.sweeps.runners.base import Event, Runner, Task
from colab_rl.sweeps.runners.process import RunProcess


class LocalRunner(Runner):
    """As many runs at a time as cores, or as `workers` says. logs: the folder of what each prints."""

    def __init__(self, workers: int | None, logs: Path):
        self.cores = cores()
        self.slots = workers or self.cores
        self.words = f"{self.slots} at a time on this machine"
        self._logs = logs
        self._here: dict[int, RunProcess] = {}  # by slot
        self._cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    def submit(self, task: Task) -> None:
        """See Runner."""
        slot = next(slot for slot in range(self.slots) if slot not in self._here)
        self._here[slot] = RunProcess(task, self._cores_of(slot), self._logs / f"{task.run}.log")

    def events(self, timeout: float) -> Sequence[Event]:
        """See Runner."""
        by_connection = {process.connection: slot for slot, process in self._here.items()}
        found: list[Event] = []
        for connection in wait(list(by_connection), timeout):
            slot = by_connection[connection]  # type: ignore[index]
            found += self._here[slot].events()
            if self._here[slot].connection.closed:
                del self._here[slot]
        return found

    def stop(self, run: str) -> None:
        """See Runner."""
        for process in self._here.values():
            if process.run == run:
                process.stop()

    def close(self) -> None:
        """See Runner."""
        for process in self._here.values():
            process.close()
        self._here.clear()

    def _cores_of(self, slot: int) -> list[int]:
        """The cores of a slot: an equal share, or one core that several slots share."""
        if self.slots >= len(self._cores):
            return self._cores[slot % len(self._cores):][:1] if self._cores else []
        return self._cores[slot::self.slots]
