"""The streams of a program: closed, or read by nobody."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys

from colab_rl.machine import standard_error


def tell(line: str) -> None:
    """Prints a line on standard error, if somebody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def mend_streams() -> None:
    """Lets results be printed if standard output is closed, or cannot show a file's name; they change no outcome."""
    standard_error()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (to the end of the program)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def nobody_reads() -> bool:
    """Whether standard output is a pipe that was closed, as `| head` does; then what is left for it is dropped."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(events & select.POLLERR for _, events in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed
