"""Being asked to stop: Ctrl-C, the notebook's stop button, SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class StoppedAtOnce(KeyboardInterrupt):
    """A second signal came before the first was answered."""

    def __init__(self, signal_number: int):
        super().__init__()
        self.signal_number = signal_number


class StopRequest:
    """While entered, the first SIGINT or SIGTERM only sets `signal_number`; a second leaves at once,
    by StoppedAtOnce.

    Outside the main thread, where Python lets nobody catch signals, it stays unset.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.hold()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None is a handler that C code has set

    def hold(self) -> None:
        """Takes the signals back from what has taken them meanwhile, such as a library with a handler of its own."""
        for number in self._previous:
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise StoppedAtOnce(number)
        self.signal_number = number
