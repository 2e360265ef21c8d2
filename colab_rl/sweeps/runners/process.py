"""A run in a process of its own: both ends of it.

The process leaves when the other end of its socket closes, so a driver that is killed leaves nothing behind. The run
continues from its newest checkpoint when the next driver begins it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

from colab_rl.environments.likeness import python_command
from colab_rl.environments.make import EnvironmentSource
from colab_rl.environments.worker_process import cause_of_death
from colab_rl.errors import ColabRLError
from colab_rl.sweeps.runners.base import Ended, Event, Progress, Task

WAIT_FOR_LOCK = 30.0  # seconds in which a process that had the run before has left
EACH = 0.25           # seconds between two rows that it reports, if they hold no score
TOLD = ("iteration", "step", "seconds", "episode/return", "evaluation/score", "time/steps_per_second")


class RunProcess:
    """The driver's end.

    cores: that the process may use, None for all. log: takes what it prints.
    """

    def __init__(self, task: Task, cores: Sequence[int] | None, log: Path):
        self.run = task.run
        self._stopping = self._ended = False
        pinned = f"import os; os.sched_setaffinity(0, {list(cores)}); " if cores else ""
        ours, theirs = socket.socketpair()
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with theirs, open(log, "ab") as printed:
                self.process = subprocess.Popen(
                    python_command(f"{pinned}from colab_rl.sweeps.runners.process import main; "
                                   f"main({theirs.fileno()})"),
                    pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
                    start_new_session=True,  # Ctrl-C in the terminal is the driver's to answer
                    env={**os.environ, "OMP_NUM_THREADS": "1"})
        except OSError as error:
            ours.close()
            raise ColabRLError(f"no process to train {task.run} in could be started ({error}); what was saved before "
                               "is kept; fix that, and give the same command again") from error
        self.connection = Connection(ours.detach())
        with contextlib.suppress(OSError):  # that it is dead already is noticed when it is listened to
            self.connection.send(task)

    def events(self) -> list[Event]:
        """What it has told, without waiting. The last one is its end."""
        found: list[Event] = []
        try:
            while not self._ended and self.connection.poll():
                event = self.connection.recv()
                found.append(event)
                self._ended = isinstance(event, Ended)
        except (EOFError, OSError):
            found.append(Ended(self.run, "stopped" if self._stopping else "died", cause_of_death(self.process)))
            self._ended = True
        if self._ended:
            self.close()
        return found

    def wait(self, timeout: float) -> list[Event]:
        """`events`, after a wait of at most so many seconds for the first."""
        with contextlib.suppress(OSError):
            self.connection.poll(timeout)
        return self.events()

    def stop(self) -> None:
        """Lets it save and leave."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self.connection.send("stop")

    def close(self) -> None:
        """Lets it end by itself if it has told its end, or kills it."""
        self.connection.close()
        try:
            self.process.wait(timeout=5 if self._ended else 0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()



def main(descriptor: int) -> None:
    """The process's end."""
    connection = Connection(descriptor)
    try:
        task = connection.recv()
    except (EOFError, OSError):  # the driver is gone already
        return
    threading.Thread(target=_obey, args=(connection,), daemon=True).start()
    ended = _train(task, connection)
    sys.stderr.flush()
    with contextlib.suppress(OSError):
        connection.send(ended)
    os._exit(0)  # nothing that an environment left behind holds up the next run


def _obey(connection: Connection) -> None:
    """Saves and leaves if the driver says so; leaves at once if the driver is gone."""
    try:
        while True:
            connection.recv()
            os.kill(os.getpid(), signal.SIGTERM)
    except (EOFError, OSError):
        os._exit(1)


def _train(task: Task, connection: Connection) -> Ended:
    import gymnasium

    from colab_rl.algorithms.registry import register_algorithm
    from colab_rl.environments.likeness import unpacked
    from colab_rl.errors import Divergence, EnvironmentFault, UsageError
    from colab_rl.networks.registry import register_network
    from colab_rl.runs.identity import DerivedName
    from colab_rl.runs.lock import wait_until_free
    from colab_rl.training.session import train

    teller = _Teller(task.run, connection)
    try:
        own, registry = unpacked(task.own)
        env, algorithms, networks = cast(tuple[EnvironmentSource, list[Any], list[Any]], own)
        gymnasium.registry.update({name: spec for name, spec in registry.items() if name not in gymnasium.registry})
        for algorithm in algorithms:
            register_algorithm(algorithm)
        for network in networks:
            register_network(network)
        # The process of a driver that was killed may still be in the run.
        wait_until_free(Path(task.options["root"]) / task.run, WAIT_FOR_LOCK)
        result = train(DerivedName(task.run), env=env, watcher=teller, **task.options)
    except (Divergence, EnvironmentFault, UsageError) as error:
        return Ended(task.run, "failed" if isinstance(error, Divergence) else "refused", str(error))
    except (ColabRLError, OSError, MemoryError, ImportError) as error:
        return Ended(task.run, "refused", str(error) or type(error).__name__)
    except KeyboardInterrupt:
        return Ended(task.run, "stopped", "it was asked twice to stop")
    facts = {"step": result.step, "state_sha256": result.state_sha256,
             "score": result.best_score, "pending": result.pending}
    return Ended(task.run, "finished" if result.finished else "stopped", result.problem or "", facts)


class _Teller:
    """A progress.Watcher that tells the driver: every row with a score, and some of the others."""

    def __init__(self, run: str, connection: Connection):
        self.run = run
        self._connection = connection
        self._total, self._next = 0, 0.0
        self._past: list[Mapping[str, float]] = []  # until the goal is known
        self._last: Mapping[str, float] = {}

    def past(self, row: Mapping[str, float]) -> None:
        """See progress.Watcher."""
        self._last = row
        if "evaluation/score" in row:
            self._past.append(row)

    def goal(self, total_steps: int) -> None:
        """See progress.Watcher."""
        self._total = total_steps
        for row in self._past:
            self._tell(row, earlier=True)
        if self._last and "evaluation/score" not in self._last:
            self._tell(self._last, earlier=True)
        self._past = []

    def row(self, row: Mapping[str, float], where: str) -> None:
        """See progress.Watcher."""
        if "evaluation/score" in row or time.monotonic() >= self._next:
            self._tell(row)

    def _tell(self, row: Mapping[str, float], earlier: bool = False) -> None:
        self._next = time.monotonic() + EACH
        told: dict[str, Any] = {name: row[name] for name in TOLD if name in row}
        self._connection.send(Progress(self.run, told, self._total, earlier))
