"""The second tier: a thread that brings every checkpoint from this machine to the store.

Trouble with the store never stops training and never goes unsaid: the thread tries again,
ever more slowly, and `error` holds what is wrong meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Iterator

from colab_rl.checkpoints.manifest import Damaged, FileRecord, Manifest
from colab_rl.checkpoints.retention import prune
from colab_rl.checkpoints.tier import Tier
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import say
from colab_rl.storage import NotFound

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds between tries


class Replicator:
    """Copies checkpoints from `local` to `remote` in the order in which they are submitted.

    identity: content of run.json, written before the first checkpoint.
    error: what the store last answered, None while it does what it should.
    """

    def __init__(self, local: Tier, remote: Tier, identity: bytes, keep_last: int, keep_every: int):
        self._local = local
        self._remote = remote
        self._identity = identity
        self._keep = (keep_last, keep_every)
        self._changed = threading.Condition()
        self._pending: list[Manifest] = []
        self._verified: dict[str, Manifest] = {}  # by stem: in the store, read back in this session
        self._whole: set[str] = set()             # names of files that were read back in this session
        self._tried: set[str] = set()             # names of files that this session has begun to write
        self._closing = False
        self._prepared = False
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)
        self._thread.start()

    def submit(self, manifest: Manifest) -> None:
        """Queues a checkpoint that the local tier holds."""
        with self._changed:
            self._pending.append(manifest)
            self._changed.notify_all()

    @property
    def proves(self) -> bool:
        """Whether reading back from the store proves that a checkpoint has arrived."""
        return self._remote.storage.proves

    @property
    def pending(self) -> int:
        """How many checkpoints are not verified in the store yet."""
        with self._changed:
            return len(self._pending)

    def is_verified(self, manifest: Manifest) -> bool:
        """Whether the checkpoint was read back from the store, whole."""
        return manifest.stem in self._verified

    def wait(self, timeout: float, despite_errors: bool = False) -> bool:
        """Waits until nothing is pending; returns whether that is so.

        Gives up after `timeout` seconds, and at once when the store fails, unless `despite_errors`.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._pending or (self.error is not None and not despite_errors),
                                   timeout)
            return not self._pending

    def close(self) -> None:
        """Ends the thread after the file it is writing; what is pending stays so until the next session."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        for manifest in self._submitted():
            pause = FIRST_PAUSE
            while not self._closing:
                try:
                    self._replicate(manifest)
                    self._done(manifest)
                    break
                except Damaged as error:  # here, and so for good; the store keeps what it has
                    if self._is_local(manifest):
                        say(f"generation {manifest.generation} cannot go to the store: {error}")
                    self._done(manifest)
                    break
                except ColabRLError as error:
                    if self._closing:
                        return
                    self._failed(str(error))
                    self._pause(pause)
                    pause = min(2 * pause, LONGEST_PAUSE) * random.uniform(0.8, 1.2)

    def _submitted(self) -> Iterator[Manifest]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing)
                if self._closing:
                    return
                manifest = self._pending[0]
            yield manifest

    def _replicate(self, manifest: Manifest) -> None:
        if not self._prepared:
            self._prepare()
        for name, record in {**manifest.history, **manifest.files}.items():
            if self._closing:
                raise StorageError("the session ends")
            self._bring(name, record, optional=name in manifest.history)
        data = manifest.to_bytes()
        record = FileRecord.of(data)
        if not self._remote.holds(manifest.name, record):
            self._write(manifest.name, data, record)
        self._verified[manifest.stem] = manifest
        prune(self._remote, self._verified, *self._keep)

    def _write(self, name: str, data: bytes, record: FileRecord) -> None:
        """Puts a file where the store has none, or a damaged one, which is set aside."""
        if name not in self._tried:
            self._tried.add(name)
            with contextlib.suppress(NotFound):
                self._remote.storage.stat(name)
                self._remote.storage.set_aside(name)
                say(f"{name} was damaged in {self._remote.storage.place}: set aside as {name}.bad, and brought again")
        self._remote.write(name, data, record)

    def _bring(self, name: str, record: FileRecord, optional: bool) -> None:
        if name in self._whole:
            return
        if not self._remote.holds(name, record):
            try:
                data = self._local.storage.get(name)
                record.check(name, data)
            except (Damaged, StorageError) as error:
                if optional:
                    return
                if not isinstance(error, (Damaged, NotFound)):
                    raise
                raise Damaged(str(error)) from error
            self._write(name, data, record)
        self._whole.add(name)

    def _is_local(self, manifest: Manifest) -> bool:
        """Whether this machine still has it: a store slower than the interval is overtaken by retention."""
        try:
            return manifest.name in self._local.storage.list("checkpoints/")
        except StorageError:
            return True

    def _prepare(self) -> None:
        """Writes run.json where there is none, and learns which checkpoints the store holds, for retention."""
        record = FileRecord.of(self._identity)
        if not self._remote.holds("run.json", record):
            self._check_other_run()
            self._write("run.json", self._identity, record)
        self._verified.update((manifest.stem, manifest) for manifest in self._remote.whole())
        self._prepared = True

    def _check_other_run(self) -> None:
        """Raises StorageError where the store's folder belongs to another run."""
        with contextlib.suppress(NotFound, ValueError, AttributeError):
            other = json.loads(self._remote.storage.get("run.json")).get("run_id", self._remote.run_id)
            if other != self._remote.run_id:
                raise StorageError(f"{self._remote.storage.place} holds another run of this name: "
                                   "give this one's store another folder")

    def _done(self, manifest: Manifest) -> None:
        with self._changed:
            self._pending.remove(manifest)
            self.error = None
            self._changed.notify_all()

    def _failed(self, error: str) -> None:
        with self._changed:
            self.error = error
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            self._changed.wait_for(lambda: self._closing, timeout=max(0.0, deadline - time.monotonic()))
