"""The trainer's end of a worker: a process of its own, or, if an environment is not the same in one, this process.

    worker.send(b"s")      a command, see worker.py
    worker.connection      is ready to be read when the answer is there, for multiprocessing.connection.wait
    worker.receive()       the answer
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import socket
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from colab_rl.environments.guard import prints_aside
from colab_rl.environments.likeness import MAIN, packed, python_command
from colab_rl.environments.loaded_code import code_difference
from colab_rl.environments.make import EnvironmentSource, registered_as
from colab_rl.environments.shared import Layout, anonymous_file
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.worker import Worker, attempt
from colab_rl.errors import ColabRLError
from colab_rl.machine import standard_error


class WorkerProcess:
    """A worker in a process of its own.

    content: what makes its environments, see likeness.packed.
    """

    def __init__(self, content: bytes, layout: Layout, first: int, count: int, memory: int):
        prints = standard_error()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    python_command(f"from colab_rl.environments.worker import main; main({theirs.fileno()}, {memory})"),
                    pass_fds=(theirs.fileno(), memory), stdin=subprocess.DEVNULL,
                    stdout=prints, stderr=prints,  # what an environment prints is no result
                    start_new_session=True,  # a signal to the terminal's process group is the trainer's to answer
                    env={**os.environ, "OMP_NUM_THREADS": "1"})
            except OSError as error:
                raise ColabRLError(f"no process to step environments in could be started ({error}); what was saved "
                                   "before is kept; fix that, and run the same command again") from error
        self.connection = Connection(ours.detach())
        self.replaying = 0  # steps of the episode it is replaying
        with contextlib.suppress(OSError):  # a worker that is dead already is noticed when its answer is awaited
            self.connection.send((content, layout, first, count))

    def send(self, command: bytes, *arguments: Any) -> None:
        """Sends a command; a dead worker is noticed when its answer is awaited."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(command + pickle.dumps(arguments) if arguments else command)

    def receive(self) -> bytes:
        """Waits for the answer. Raises EOFError or OSError if the worker is gone."""
        return self.connection.recv_bytes()

    def cause_of_death(self) -> str:
        """In words: by signal, or its exit code."""
        return cause_of_death(self.process)

    def kill(self) -> None:
        """Ends it in the middle of its work."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """Lets it end by itself, or kills it."""
        self.connection.close()
        try:
            self.process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def cause_of_death(process: subprocess.Popen) -> str:
    """Why a process that closed its connection ended, in words: a signal, or its exit code."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "it closed its connection"
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


class WorkerHere:
    """A worker in this process: it does a command while it is sent."""

    def __init__(self, source: EnvironmentSource, layout: Layout, count: int, memory: int):
        self._worker = Worker()
        self.connection, self._done = Pipe(duplex=False)
        self.replaying = 0
        with prints_aside():
            self._answered(attempt(self._worker.open, source, layout, 0, count, memory))

    def send(self, command: bytes, *arguments: Any) -> None:
        """See WorkerProcess."""
        with prints_aside():
            self._answered(self._worker.answer(command + pickle.dumps(arguments) if arguments else command))

    def receive(self) -> bytes:
        """See WorkerProcess."""
        self.connection.recv_bytes()
        return self._answer

    def _answered(self, answer: bytes) -> None:
        self._answer = answer
        self._done.send_bytes(b"")

    def close(self) -> None:
        """Closes its environments."""
        self._worker.close()
        self.connection.close()
        self._done.close()

    kill = close


def changed_here(source: EnvironmentSource, spaces: Spaces) -> str:
    """What of an environment, or of how its id is registered, is not what a new process has: in words, empty if nothing
    is. Starts a process.
    """
    if getattr(sys.modules[MAIN], "__package__", None) == "colab_rl":
        return ""  # the command line itself changes nothing
    layout = Layout(1, spaces.observation, spaces.action_shape, np.dtype(spaces.action_dtype).str)
    return _changed_here(source, layout, registered_as(source), frozenset(spaces.code.items()))


@functools.lru_cache(maxsize=8)
def _changed_here(source: EnvironmentSource, layout: Layout, registered: str, code: frozenset[tuple[str, str]]) -> str:
    memory = anonymous_file(layout.size())
    worker = WorkerProcess(packed(source), layout, 0, 1, memory)
    try:
        answer = worker.receive()
    except (EOFError, OSError):
        answer = f"!it is gone, {worker.cause_of_death()}".encode()
    finally:
        worker.close()
        os.close(memory)
    if answer[:1] != b"d":
        return f"other processes cannot make it ({answer[1:].decode()})"
    there, registered_there = pickle.loads(answer[1:])
    return code_difference({**dict(code), "its registration": registered},
                           {**there, "its registration": registered_there})
