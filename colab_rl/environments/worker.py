"""What steps some environments, in a process of its own.

It is a program of its own (see likeness.python_command), not `multiprocessing`'s: a notebook, or a script without a
`__main__` guard, is not run a second time, and torch is not loaded here.

A message is one byte, the command, and its pickled arguments; the arrays travel through shared memory:

    s  step every environment of this worker
    r  restore one: (slot, seed, actions); the observation is left in shared memory
    c  check whether an episode repeats from its seed and actions
    t  tell the terrain of one: (slot)
    (end of file)  the trainer is gone: leave

The answer is one byte and what belongs to it:

    d  done, and the pickled result if there is one
    n  no: an episode does not repeat
    !  the environment failed: one line on what went wrong, and where
    ?  something else is wrong: one line
"""

from __future__ import annotations

import contextlib
import gc
import pickle
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.channels_of import channels_of
from colab_rl.environments.guard import fault_in_one_line
from colab_rl.environments.likeness import unpacked
from colab_rl.environments.loaded_code import loaded_code
from colab_rl.environments.make import EnvironmentSource, bare, close_environment, make_environment, registered_as
from colab_rl.environments.repeats import repeats
from colab_rl.environments.shared import Layout, SharedArrays
from colab_rl.environments.stepper import Stepper
from colab_rl.errors import ColabRLError


class Worker:
    """Environments `first` to `first + count` of the arrays."""

    def __init__(self) -> None:
        self.steppers: list[Stepper] = []

    def open(self, source: EnvironmentSource, layout: Layout, first: int, count: int, memory: int) -> dict[str, str]:
        """Makes the environments, and maps their part of the arrays. The first worker returns its `loaded_code`."""
        arrays = SharedArrays(layout, memory)
        self.source, self.first = source, first
        mine = slice(first, first + count)
        self.seeds = arrays.seeds[mine]
        self.rewards = arrays.rewards[mine]
        self.own_rewards = arrays.own_rewards[mine]
        self.actions = arrays.actions[mine]
        self.observations = arrays.observations[mine]
        self.terminated = arrays.terminated[mine]
        self.truncated = arrays.truncated[mine]
        self.ended = arrays.ended[mine]
        self.channels = arrays.channels[mine]
        self.recorded = arrays.recorded[mine]
        self.steppers.append(self._made(0))
        environment = self.steppers[0].environment
        code = loaded_code(environment, bare(source)) if first == 0 else {}
        for i in range(1, count):
            self.steppers.append(self._made(i))
        self.description = channels_of(environment)
        return code

    def step(self) -> None:
        """Steps each environment, or begins its next episode if the last one has ended."""
        for i, stepper in enumerate(self.steppers):
            if self.ended[i]:
                self.rewards[i] = self.own_rewards[i] = 0.0
                self.terminated[i] = self.truncated[i] = False
                if self.seeds[i] >= 0:
                    stepper.begin(int(self.seeds[i]))
                    self.ended[i] = False
                    self._record(i)
                continue
            reward, terminated, truncated = stepper.step(self.actions[i])
            self.rewards[i] = reward
            self.own_rewards[i] = stepper.own_reward
            self.terminated[i] = terminated
            self.truncated[i] = truncated
            self.ended[i] = terminated or truncated
            self._record(i)

    def restore(self, slot: int, seed: int, actions: np.ndarray) -> bool:
        """Replays an episode up to now; whether it lasted so long."""
        stepper = self.steppers[slot - self.first]
        stepper.begin(seed)
        return not any(any(stepper.step(action)[1:]) for action in actions)

    def check(self) -> bool:
        """Whether an episode repeats. New environments take the place of those that tried it."""
        tried = [stepper.environment for stepper in self.steppers[:2]]
        same = repeats(*tried)
        for i, environment in enumerate(tried):
            close_environment(environment)
            self.steppers[i] = self._made(i)
        return same

    def terrain(self, slot: int) -> list[np.ndarray]:
        """The lines of an episode's ground."""
        drawing, environment = self.description.drawing, self.steppers[slot - self.first].environment
        return drawing.terrain(environment.unwrapped) if drawing else []

    def answer(self, message: bytes) -> bytes:
        """Does what a message asks for."""
        if message == b"s":
            return attempt(self.step)
        works: dict[bytes, Callable[..., Any]] = {b"r": self.restore, b"c": self.check, b"t": self.terrain}
        return attempt(works[message[:1]], *(pickle.loads(message[1:]) if message[1:] else ()))

    def close(self) -> None:
        """Closes the environments."""
        for stepper in self.steppers:
            close_environment(stepper.environment)

    def _made(self, i: int) -> Stepper:
        return Stepper(make_environment(self.source), self.observations[i])

    @np.errstate(over="ignore")  # what no float32 holds is recorded as infinite
    def _record(self, i: int) -> None:
        if self.recorded[i]:
            self.channels[i] = self.description.row(self.steppers[i].environment, self.observations[i])


def main(descriptor: int, memory: int) -> None:
    """Answers messages until the trainer is gone. Takes the file descriptors of the connection and of the arrays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's: it still needs the environments
    gc.freeze()  # this process ends in a third of the time: its end does not search what was imported for cycles
    connection, worker = Connection(descriptor), Worker()

    def open_alike(content: bytes, layout: Layout, first: int, count: int) -> tuple[dict[str, str], str]:
        """Makes this process look like the trainer's first; returns the code, and what is registered without that."""
        source, registry = unpacked(content)
        registered = registered_as(source)  # imports its module, which registers what is in it
        gymnasium.registry.update(registry)
        return worker.open(source, layout, first, count, memory), registered

    with contextlib.suppress(EOFError, ConnectionError):  # the trainer is gone
        connection.send_bytes(attempt(open_alike, *connection.recv()))
        while True:
            connection.send_bytes(worker.answer(connection.recv_bytes()))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(2)  # what does not let itself be closed ends all the same
    worker.close()


def attempt(work: Callable[..., Any], *arguments: Any) -> bytes:
    """Does the work; returns the answer."""
    try:
        result = work(*arguments)
    except ColabRLError as error:
        return b"?" + str(error).encode(errors="replace")
    except (Exception, SystemExit) as error:
        return b"!" + fault_in_one_line(error).encode(errors="replace")
    if result is False:
        return b"n"
    return b"d" + (b"" if result is None or result is True else pickle.dumps(result))
