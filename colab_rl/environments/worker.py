"""A process that steps some environments.

It is a program of its own (see likeness.command), not `multiprocessing`'s: a notebook, or a script without a `__main__`
guard, is not run a second time, and torch is not loaded here.

One byte on the connection is a command; the arrays travel through shared memory:

    s  step every environment of this worker
    r  restore one: a pickled (slot, seed, actions) follows; the observation is left in shared memory
    c  check whether an episode repeats from its seed and actions
    t  tell the terrain of one: its pickled slot follows, and after the answer comes the pickled list of lines
    (end of file)  the trainer is gone: leave

The answer is b"d" (done), b"n" (an episode does not repeat), or one line on what went wrong, and where.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.guard import in_one_line
from colab_rl.environments.known import channels_of
from colab_rl.environments.likeness import unpacked
from colab_rl.environments.make import import_module_of, make_environment
from colab_rl.environments.repeats import repeats
from colab_rl.environments.shared import Layout, SharedArrays
from colab_rl.environments.stepper import Stepper


class Worker:
    """Environments `first` to `first + count` of the arrays."""

    def open(self, memory: int, content: bytes, layout: Layout, first: int, count: int) -> None:
        """Makes the environments that the content names, see likeness, and maps their part of the arrays."""
        source, registry = unpacked(content)
        if isinstance(source, str):
            import_module_of(source)  # which registers what is in it, and may not find that there already
        gymnasium.registry.update(registry)
        arrays = SharedArrays(layout, memory)
        self.first = first
        self.environments: list[gymnasium.Env] = [make_environment(source) for _ in range(count)]
        mine = slice(first, first + count)
        self.seeds = arrays.seeds[mine]
        self.rewards = arrays.rewards[mine]
        self.actions = arrays.actions[mine]
        self.observations = arrays.observations[mine]
        self.terminated = arrays.terminated[mine]
        self.truncated = arrays.truncated[mine]
        self.ended = arrays.ended[mine]
        self.channels = arrays.channels[mine]
        self.recorded = arrays.recorded[mine]
        self.description = channels_of(self.environments[0])
        self.steppers = [Stepper(*pair) for pair in zip(self.environments, self.observations, strict=True)]

    def step(self) -> None:
        """Steps each environment, or begins its next episode where the last one has ended."""
        for i, stepper in enumerate(self.steppers):
            if self.ended[i]:
                self.rewards[i] = 0.0
                self.terminated[i] = self.truncated[i] = False
                if self.seeds[i] >= 0:
                    stepper.begin(int(self.seeds[i]))
                    self.ended[i] = False
                    self._record(i)
                continue
            reward, terminated, truncated = stepper.step(self.actions[i])
            self.rewards[i] = reward
            self.terminated[i] = terminated
            self.truncated[i] = truncated
            self.ended[i] = terminated or truncated
            self._record(i)

    def restore(self, slot: int, seed: int, actions: np.ndarray) -> bool:
        """Replays an episode up to now; whether it went on so long."""
        stepper = self.steppers[slot - self.first]
        stepper.begin(seed)
        return not any(any(stepper.step(action)[1:]) for action in actions)

    def check(self) -> bool:
        """Whether an episode repeats."""
        return repeats(*self.environments[:2])

    def tell_terrain(self, slot: int) -> None:
        """Leaves the lines of an episode's ground in `terrain`."""
        drawing = self.description.drawing
        self.terrain = drawing.terrain(self.environments[slot - self.first].unwrapped) if drawing else []

    def _record(self, i: int) -> None:
        if self.recorded[i]:
            self.channels[i] = self.description.row(self.environments[i], self.observations[i])


def main(descriptor: int, memory: int) -> None:
    """Answers commands until the trainer is gone. Takes the file descriptors of the connection and of the arrays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's: it still needs the environments
    connection, worker = Connection(descriptor), Worker()
    with contextlib.suppress(EOFError, ConnectionError):  # the trainer is gone
        connection.send_bytes(attempt(worker.open, memory, *connection.recv()))
        while True:
            command = connection.recv_bytes()
            if command == b"s":
                connection.send_bytes(attempt(worker.step))
            elif command == b"r":
                connection.send_bytes(attempt(worker.restore, *connection.recv()))
            elif command == b"c":
                connection.send_bytes(attempt(worker.check))
            else:
                answer = attempt(worker.tell_terrain, connection.recv())
                connection.send_bytes(answer)
                if answer == b"d":
                    connection.send(worker.terrain)


def attempt(work: Callable[..., bool | None], *arguments: Any) -> bytes:
    """Does the work; returns b"d", b"n" if it gave False, or one line on what went wrong, and where."""
    try:
        return b"n" if work(*arguments) is False else b"d"
    except Exception as error:
        return in_one_line(error).encode()
