"""TensorBoard's view of a run's metrics."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from colab_rl.progress import say
from colab_rl.training.metrics import LEADING, Row


class TensorBoardView:
    """Event files of one run in a local folder, written anew from `history` at every opening; a row shows at once.

    If they cannot be written, a line says so, and training continues. They are not written by tensorboard's
    own thread, which shows its traceback then.
    """

    def __init__(self, folder: Path, history: Iterable[Row]):
        self._folder = folder
        self._writer: Any = None
        with self._dispensable():
            # Here, not above: it costs half a second that `status` and `verify` need not pay.
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter

            self._event, self._summary = Event, Summary
            folder.mkdir(parents=True, exist_ok=True)
            number = int(time.time())  # a TensorBoard reads files in the order of their names, and a clock may go back
            for old in folder.glob("events.out.tfevents.*"):
                with contextlib.suppress(ValueError):
                    number = max(number, int(old.name.split(".")[3]) + 1)
                if old.stat().st_size:
                    os.truncate(old, 0)  # not deleted: a TensorBoard that reads it would wait for it for ever
                else:
                    old.unlink()  # emptied by an earlier session, and left by every reader since
            name = f"events.out.tfevents.{number:010d}.{os.getpid()}"
            self._writer = RecordWriter((folder / name).open("xb", buffering=0))
            self._write(Event(file_version="brain.Event:2", wall_time=1.0))
            # A TensorBoard that shows this folder already forgets what it read before.
            self._write(Event(session_log=SessionLog(status=SessionLog.START), step=0, wall_time=1.0))
        for row in history:
            self.add(row)

    def add(self, row: Mapping[str, float]) -> None:
        """Shows a row at its step; its wall time is the seconds of training until then."""
        if self._writer:
            with self._dispensable():
                values = [self._summary.Value(tag=name, simple_value=value) for name, value in row.items()
                          if name not in LEADING and math.isfinite(value)]
                self._write(self._event(step=int(row["step"]), wall_time=max(row["seconds"], 1.0),
                                        summary=self._summary(value=values)))

    def close(self) -> None:
        """Closes the file."""
        if self._writer:
            with self._dispensable():
                self._writer.close()

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())

    @contextlib.contextmanager
    def _dispensable(self) -> Iterator[None]:
        """A view that fails never ends a training."""
        try:
            yield
        except Exception as error:
            self._writer = None
            say(f"TensorBoard shows nothing more of this session: {self._folder} cannot be written "
                f"({getattr(error, 'strerror', None) or error}); training continues without it")
