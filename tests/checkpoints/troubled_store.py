"""A store whose trouble a test switches on and off, and what the trainer does with it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from pathlib import Path

from helpers import LONG, WatchedStorage, brought, generations, make_tier, snapshot

from colab_rl.checkpoints import FileRecord, Replicator, Tier
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage import FolderStorage

IDENTITY = b'{"format": 1, "name": "walker"}'


class Store(WatchedStorage):
    """A store whose trouble a test switches on and off. `open`: it answers only while this is set."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()  # somebody has come
        self.fails: Callable[[str, str], bool] = lambda call, name: False
        self.refuses = False
        self.lies: Callable[[str], bool] = lambda name: False
        self.loses: Callable[[str], bool] = lambda name: False

    def before(self, call: str, name: str) -> None:
        self.entered.set()
        assert self.open.wait(LONG)
        if self.refuses:
            raise StorageRefused(f"{name} could not be written: Read-only file system")
        if self.fails(call, name):
            raise StorageError(f"{name} could not be written: No space left on device")

    def put(self, name: str, data: bytes) -> None:
        super().put(name, data[:-1] + b"?" if self.lies(name) else data)

    def after(self, call: str, name: str) -> None:
        if call == "stat" and self.loses(name):
            FolderStorage.delete(self, name)


def first(count: int) -> Callable[..., bool]:
    """True the first `count` times."""
    left = iter(range(count))
    return lambda *_: next(left, None) is not None


def save(local: Tier, replicator: Replicator, *checkpoints) -> None:
    """What the trainer does: here first, then there."""
    for checkpoint in checkpoints:
        local.commit(*checkpoint)
        replicator.submit(checkpoint.manifest)


def save_while_closed(local: Tier, replicator: Replicator, store: Store, earliest: Checkpoint, *others) -> None:
    """The others come while the earliest is under way; returns when all are in the store."""
    store.open.clear()
    save(local, replicator, earliest)
    assert store.entered.wait(LONG)
    save(local, replicator, *others)
    store.open.set()
    assert brought(replicator)


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of the run; sessions' claims are none of it."""
    return {name: content for name, content in snapshot(folder).items() if not name.startswith("sessions/")}


def puts(store: Store) -> list[str]:
    return [name for name in store.names_of("put") if not name.startswith("sessions/")]


def in_store(store: Store) -> list[int]:
    return generations(make_tier(store.root))


SEGMENT = "replay/0000000000-0000000009-0123abcd.safetensors"


def with_segment(checkpoint: Checkpoint) -> Checkpoint:
    """It needs a replay segment too, the same as others."""
    manifest = checkpoint.manifest
    files = {**manifest.files, SEGMENT: FileRecord.of(b"experience")}
    return Checkpoint(dataclasses.replace(manifest, files=files), {**checkpoint.contents, SEGMENT: b"experience"})


def closes_at_once(replicator: Replicator) -> bool:
    """Whether `close` returns within 4 s; it would wait for a store that takes longer."""
    closing = threading.Thread(target=replicator.close)
    closing.start()
    closing.join(4.0)
    return not closing.is_alive()
