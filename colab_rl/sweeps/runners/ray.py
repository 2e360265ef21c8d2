"""Runs as tasks of a Ray cluster: Ray says which machine has room, and when one is lost.

Each task begins the same process as the local runner, and passes on what it tells. A run whose node is lost is begun
again by the driver, and continues from the store.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from colab_rl.arithmetic import THREADS
from colab_rl.errors import UsageError
from colab_rl.machine import cores, versions
from colab_rl.sweeps.runners.base import Ended, Event, Runner, Task
from colab_rl.sweeps.runners.process import RunProcess

CONNECTED = 10.0  # seconds that a cluster has to answer in
LISTENED = 0.2  # seconds between two questions to the mailbox


def ray() -> ModuleType:
    """Ray. Raises UsageError if it is not installed."""
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UsageError('--on ray needs the package ray, which is not installed; nothing was started; '
                         'pip install "colab-rl[ray]" or pip install ray') from None
    return ray


class Mailbox:
    """An actor beside the driver: what the tasks tell, and which runs shall stop."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._stopping: set[str] = set()

    def tell(self, run: str, events: Sequence[Event]) -> bool:
        """Takes what a run has told; returns whether it shall save and leave."""
        self._events += events
        return run in self._stopping

    def take(self) -> list[Event]:
        """The events since the last call."""
        found, self._events = self._events, []
        return found

    def stop(self, run: str, stopping: bool) -> None:
        """A run shall save and leave, or begins anew."""
        (self._stopping.add if stopping else self._stopping.discard)(run)


def _check_answers(address: str) -> None:
    """Raises UsageError if nobody answers at `HOST:PORT`. Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "/" in host or not port.isdigit():  # such as `auto`, or ray://HOST:PORT
        return
    try:
        socket.create_connection((host, int(port)), CONNECTED).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str, reason: str) -> UsageError:
    return UsageError(f"no Ray cluster answers at {address or 'this machine'} ({reason}); nothing was started; begin "
                      "one with ray start --head, and give --on ray:HOST:6379")


class RayRunner(Runner):
    """As many runs at a time as the cluster has CPUs, or as `workers` says.

    address: of the cluster's head, empty for one of this machine alone, which is begun here and ends with the driver.
    logs: the folder of what each run prints, on the node that trains it.
    """

    def __init__(self, address: str, workers: int | None, logs: Path):
        self._ray = ray()
        self._closed = False
        self._began_here = not self._ray.is_initialized()
        _check_answers(address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        try:
            if self._began_here and address:
                self._ray.init(address=address, **quiet)
            elif self._began_here:
                self._ray.init(address="local", num_cpus=workers or cores(), include_dashboard=False, **quiet)
        except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
            raise _no_cluster(address, " ".join(str(error).split())[:200]) from None
        self._nodes = [node for node in self._ray.nodes() if node["Alive"]]
        there = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self.cores = cores() if self._began_here and not address else there
        self.slots = workers or there
        self.words = f"{self.slots} at a time on Ray, {len(self._nodes)} node{'s' if len(self._nodes) > 1 else ''}"
        self._logs = logs
        here = self._ray.get_runtime_context().get_node_id()
        self._mailbox = self._on(here, self._ray.remote(num_cpus=0)(Mailbox)).remote()
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_train)  # the driver tries again, and counts
        self._here: dict[Any, str] = {}  # runs by their tasks

    def submit(self, task: Task) -> None:
        """See Runner."""
        self._ray.get(self._mailbox.stop.remote(task.run, False))
        self._here[self._task.remote(task, self._mailbox, str(self._logs / f"{task.run}.log"))] = task.run

    def events(self, timeout: float) -> Sequence[Event]:
        """See Runner."""
        deadline = time.monotonic() + timeout
        while True:
            done = self._ray.wait(list(self._here), num_returns=len(self._here), timeout=0)[0] if self._here else []
            found: list[Event] = self._ray.get(self._mailbox.take.remote())  # after the ends, which came before
            ended = {event.run for event in found if isinstance(event, Ended)}
            for task in done:
                run = self._here.pop(task)
                try:
                    self._ray.get(task)
                except self._ray.exceptions.RayError as error:
                    if run not in ended:
                        found.append(Ended(run, "died", f"its node or its worker is gone ({type(error).__name__})"))
            # A run is over when its task is: until then it has a CPU of the cluster.
            waiting = [event for event in found if isinstance(event, Ended) and event.run in self._here.values()]
            for event in waiting:
                found.remove(event)
            if waiting:
                self._ray.get(self._mailbox.tell.remote("", waiting))
            if found or time.monotonic() >= deadline:
                return found
            time.sleep(LISTENED)

    def stop(self, run: str) -> None:
        """See Runner."""
        self._ray.get(self._mailbox.stop.remote(run, True))

    def close(self) -> None:
        """See Runner."""
        if self._closed:  # Ray would begin anew
            return
        self._closed = True
        for task in self._here:
            self._ray.cancel(task, force=True)
        self._here.clear()
        self._ray.kill(self._mailbox)
        if self._began_here:
            self._ray.shutdown()

    def notes(self) -> list[str]:
        """Which nodes have other versions than this machine: a run that moves between them is not bit-exact."""
        asked = self._ray.remote(num_cpus=0)(versions)
        ours = versions("cpu", THREADS, "envpool")
        answers = self._ray.get([self._on(node["NodeID"], asked).remote("cpu", THREADS, "envpool")
                                 for node in self._nodes])
        found = []
        for node, theirs in zip(self._nodes, answers, strict=True):
            differing = [f"{name} {ours[name]} -> {theirs.get(name)}" for name in ours
                         if theirs.get(name) != ours[name]]
            if differing:
                found.append(f"node {node['NodeManagerHostname']} differs ({', '.join(differing)}): a run that moves "
                             "there continues, and is not bit-exact")
        return found

    def _on(self, node: str, work: Any) -> Any:
        """The work, bound to a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return work.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))


def _train(task: Task, mailbox: Any, log: str) -> None:
    """A task: a run's process on this node, until it ends. If the driver is gone, so is the process."""
    library = ray()
    process = RunProcess(task, None, Path(log))
    stopping = False
    try:
        while True:
            events = process.wait(LISTENED)
            if library.get(mailbox.tell.remote(task.run, events)) and not stopping:
                process.stop()
                stopping = True
            if any(isinstance(event, Ended) for event in events):
                return
    finally:
        process.close()
