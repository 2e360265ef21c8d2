"""An environment's own code in this process: one line tells what it raises, and what it prints is no result."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np

from colab_rl import user_code
from colab_rl.errors import ColabRLError, EnvironmentFault
from colab_rl.machine import standard_error

# Files whose lines say nothing of what an environment did wrong.
NOT_ITS_OWN = ("<frozen ", *(os.path.join(os.path.dirname(file), "") for file in (
    gymnasium.__file__, np.__file__, importlib.__file__, os.path.dirname(__file__))))


class _OutputAside:
    """Standard output, Python's and its file descriptor, which is standard error while any thread has it so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entered = 0
        self._stream: Any = None       # Python's standard output meanwhile
        self._kept: int | None = None  # and the file descriptor's
        self._c_stream: ctypes.c_void_p | None = None
        with contextlib.suppress(ValueError, AttributeError):  # some systems call it otherwise
            self._c_stream = ctypes.c_void_p.in_dll(ctypes.pythonapi, "stdout")

    def __enter__(self) -> None:
        with self._lock:
            self._entered += 1
            if self._entered > 1:
                return
            self._stream, sys.stdout = sys.stdout, sys.stderr
            aside = standard_error()
            # If Python began without standard output, another file may have its number by now.
            if sys.__stdout__ is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._flush()
                    self._kept = os.dup(1)
                    os.dup2(aside, 1)

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered:
                return
            sys.stdout = self._stream
            if self._kept is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._flush()
                os.dup2(self._kept, 1)
                os.close(self._kept)
                self._kept = None

    def _flush(self) -> None:
        """Earlier output goes to the stream that the program named."""
        if sys.__stdout__ is not None:
            sys.__stdout__.flush()
        if self._c_stream:
            ctypes.pythonapi.fflush(self._c_stream)


_OUTPUT_ASIDE = _OutputAside()


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """While entered, an environment may take SIGINT and SIGTERM, as ROS nodes do. Then they are whose they were."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None is one that C code has set
                signal.signal(number, handler)


@contextlib.contextmanager
def prints_aside() -> Iterator[None]:
    """While entered, what is printed goes to standard error: standard output is left to results, `--json` above all.

    So does what C code and child processes print, as in the worker processes. Handlers of signals are put back.
    """
    with _OUTPUT_ASIDE, _signals_kept():
        yield


@contextlib.contextmanager
def environment_guarded(name: str) -> Iterator[None]:
    """While entered, what an environment raises becomes an EnvironmentFault, as if a worker process stepped it, and
    what it prints goes to standard error.

    name: the environment's.
    """
    try:
        with prints_aside():
            yield
    except ColabRLError:
        raise
    except (Exception, SystemExit) as error:  # an environment may leave; this process is not its own
        raise EnvironmentFault(f"{name} failed: {user_code.with_cells(fault_in_one_line(error))}") from error


class WrongReturn(Exception):
    """That a method of an environment returned what Gymnasium does not expect: in one line, with its place."""

    def __init__(self, environment: gymnasium.Env, method: str, what: str):
        while isinstance(environment, gymnasium.Wrapper) and type(environment).__module__.startswith(
                ("gymnasium.", "colab_rl.")):
            environment = environment.env  # gymnasium's own wrappers and ours pass on what they are given
        code = getattr(inspect.unwrap(getattr(environment, method)), "__code__", None)
        super().__init__(what + (f" ({code.co_filename}, line {code.co_firstlineno})" if code else ""))


def fault_in_one_line(error: Exception | SystemExit) -> str:
    """What was raised, and the last line of the environment's own code on the way there."""
    return str(error) if isinstance(error, WrongReturn) else user_code.in_one_line(error, NOT_ITS_OWN)
