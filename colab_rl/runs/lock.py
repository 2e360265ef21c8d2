"""Holding a run on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import say
from colab_rl.storage import FolderStorage

LOCK = ".lock"  # of each run, on this machine


@contextlib.contextmanager
def locked(storage: FolderStorage) -> Iterator[None]:
    """Holds a run on this machine, so that two sessions do not write one folder; the kernel frees it on kill -9.

    Raises StorageError if the folder cannot be written, ColabRLError if another session has it. On a disk
    without locks a line asks the person to see to it.
    """
    while True:
        try:
            storage.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(storage.root / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"{storage.root} cannot be written: {error.strerror}; nothing was changed; "
                               "choose another folder with --root") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ColabRLError(f"another session on this machine is training {storage.root.name}; "
                                   "nothing was changed; stop that one first") from None
            except OSError as error:  # some mounts have no locks
                say(f"{storage.root} cannot be locked ({error.strerror}): train it in one session at a time")
            if _is_at(storage.root / LOCK, descriptor):
                yield
                return
        finally:
            os.close(descriptor)


def wait_until_free(run: Path, seconds: float) -> None:
    """Waits until no session on this machine holds the run in that folder, but no longer than so many seconds."""
    path, deadline = run / LOCK, time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        with open(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # some mounts have no locks
                return


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one at that path: `delete` may have removed it before it was locked."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
