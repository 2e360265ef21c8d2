"""A process that steps some environments: `python -m colab_rl.environments.worker CONNECTION MEMORY`.

Started as a program of its own, not by `multiprocessing`, so that a notebook or a script
without a `__main__` guard is not run a second time, and torch is not loaded here.

One byte on the connection is a command; the arrays travel through shared memory:

    s  step every environment of this worker
    r  restore one: a pickled (slot, seed, actions) follows; the observation is left in shared memory
    (end of file)  the trainer is gone: leave

The answer is b"d" (done), or one line on what went wrong, and where.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.descriptions import channels_of
from colab_rl.environments.guard import in_one_line, wrong_shape
from colab_rl.environments.make import EnvironmentSource, make_environment
from colab_rl.environments.seeds import begin_episode
from colab_rl.environments.shared import Layout, SharedArrays


class Worker:
    """Environments `first` to `first + count` of the arrays."""

    def open(self, memory: int, source_bytes: bytes, layout: Layout, first: int, count: int) -> None:
        """Makes the environments that the (pickled) source names, and maps their part of the arrays."""
        source: EnvironmentSource = pickle.loads(source_bytes)
        arrays = SharedArrays(layout, memory)
        self.first = first
        self.environments: list[gymnasium.Env] = [make_environment(source) for _ in range(count)]
        mine = slice(first, first + count)
        self.seeds = arrays.seeds[mine]
        self.rewards = arrays.rewards[mine]
        self.actions = arrays.actions[mine]
        self.observations = arrays.observations[mine]
        self.shape = layout.observation.shape
        self.terminated = arrays.terminated[mine]
        self.truncated = arrays.truncated[mine]
        self.ended = arrays.ended[mine]
        self.channels = arrays.channels[mine]
        self.recorded = arrays.recorded[mine]
        self.description = channels_of(self.environments[0])
        space = self.environments[0].action_space
        self.discrete = isinstance(space, gymnasium.spaces.Discrete)
        self.action_dtype = space.dtype

    def step(self) -> None:
        """Steps each environment, or begins its next episode where the last one has ended."""
        for i, environment in enumerate(self.environments):
            if self.ended[i]:
                self.rewards[i] = 0.0
                self.terminated[i] = self.truncated[i] = False
                if self.seeds[i] >= 0:
                    self._observe(i, begin_episode(environment, int(self.seeds[i])))
                    self.ended[i] = False
                    self._record(i)
                continue
            observation, reward, terminated, truncated, _ = environment.step(self._action(i))
            self._observe(i, observation)
            self.rewards[i] = reward
            self.terminated[i] = terminated
            self.truncated[i] = truncated
            self.ended[i] = terminated or truncated
            self._record(i)

    def restore(self, slot: int, seed: int, actions: np.ndarray) -> None:
        """Replays an episode up to now."""
        i = slot - self.first
        environment = self.environments[i]
        observation = begin_episode(environment, seed)
        for action in actions:
            self.actions[i] = action
            observation = environment.step(self._action(i))[0]
        self._observe(i, observation)

    def _observe(self, i: int, observation: Any) -> None:
        # NumPy would copy a single number into every place. Its own `shape` is looked at first: np.shape is slow.
        if getattr(observation, "shape", None) != self.shape and np.shape(observation) != self.shape:
            raise wrong_shape(observation, self.shape)
        self.observations[i] = observation

    def _record(self, i: int) -> None:
        if self.recorded[i]:
            self.channels[i] = self.description.row(self.environments[i], self.observations[i])

    def _action(self, i: int) -> Any:
        if self.discrete:
            return int(self.actions[i])
        return self.actions[i].astype(self.action_dtype)  # a copy: an environment may keep its action


def main() -> None:
    """Answers commands until the trainer is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's: it still needs the environments
    connection, memory = Connection(int(sys.argv[1])), int(sys.argv[2])
    worker = Worker()
    with contextlib.suppress(EOFError, ConnectionError):  # the trainer is gone
        sys.path[:] = connection.recv()
        connection.send_bytes(attempt(worker.open, memory, *connection.recv()))
        while True:
            if connection.recv_bytes() == b"s":
                connection.send_bytes(attempt(worker.step))
            else:
                connection.send_bytes(attempt(worker.restore, *connection.recv()))


def attempt(work: Callable[..., None], *arguments: Any) -> bytes:
    """Does the work; returns b"d", or one line on what went wrong, and where."""
    try:
        work(*arguments)
        return b"d"
    except Exception as error:
        return in_one_line(error).encode()


if __name__ == "__main__":
    main()
