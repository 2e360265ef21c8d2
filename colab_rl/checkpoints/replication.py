"""The second tier: a thread that brings every checkpoint from this machine to the store.

Trouble with the store never ends training and never goes unsaid: the thread tries again, ever
more slowly, and `error` holds what is wrong meanwhile. The trainer waits a moment for it.
"""

from __future__ import annotations

import collections
import random
import threading
import time
from collections.abc import Collection, Iterable, Iterator

from colab_rl.checkpoints.claim import Claim, ClaimLost, Overtaken
from colab_rl.checkpoints.holdings import Holdings
from colab_rl.checkpoints.layout import CHECKPOINTS, RUN_JSON, manifest_generation
from colab_rl.checkpoints.manifest import Damaged, FileRecord, Manifest
from colab_rl.checkpoints.tier import Tier
from colab_rl.errors import ColabRLError, StorageError, StorageRefused
from colab_rl.progress import say
from colab_rl.storage import NotFound

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0  # seconds between tries
CONFIRM_PAUSE = 10.0                    # seconds between questions whether a mount has written through
JITTER = random.Random()                # a draw from the global generator would change a run's own
OPTIONAL_TRIES = 3                      # of a file that a checkpoint can do without


class Replicator:
    """Copies checkpoints from `local` to `remote`; if several are pending, the newest first.

    identity: content of run.json, written before the first checkpoint.
    error: what the store last answered, None while it does what it should.
    refused: whether that will not pass by itself.
    witness: what people call the storage's witness, empty without one.
    witness_error, witness_refused: the same of the witness, whose trouble holds up nothing that is pending.
    overtaken: which newer session has the run, None while this one has; nothing is written after.
    """

    def __init__(self, local: Tier, remote: Tier, identity: bytes, keep_last: int, keep_every: int):
        self._local = local
        self._remote = remote
        self._identity = identity
        self._holdings = Holdings(remote, identity, keep_last, keep_every)
        self._changed = threading.Condition()
        self._pending: list[Manifest] = []
        self._claim = Claim(remote.storage)
        self._tries: collections.Counter[str] = collections.Counter()  # how often this session began to write a file
        self._attempted: set[str] = set()         # stems of those that failed since one succeeded
        self._gaps: set[str] = set()              # names of files that the store lacks, after a line said so
        self._closing = False
        self._prepared = False
        self._doubted = False                     # whether a mount failed, and may have lost what was written to it
        self.error: str | None = None
        self.refused = False
        self.witness = remote.storage.witness.service if remote.storage.witness else ""
        self.witness_error: str | None = None
        self.witness_refused = False
        self.overtaken: str | None = None
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)
        self._thread.start()

    def submit(self, manifest: Manifest) -> None:
        """Queues a checkpoint that the local tier holds."""
        with self._changed:
            self._pending.append(manifest)
            self._changed.notify_all()

    @property
    def pending(self) -> int:
        """How many checkpoints were not read back from the store yet."""
        with self._changed:
            return len(self._pending)

    @property
    def unconfirmed(self) -> int:
        """How many checkpoints the store's witness was not seen to hold yet; 0 without a witness."""
        return len(self._holdings.unconfirmed())

    @property
    def held(self) -> list[Manifest]:
        """The checkpoints that the store was seen to hold whole."""
        return self._holdings.manifests()

    def state(self, manifest: Manifest) -> str:
        """`local`, `written` or `verified`: what is known of a checkpoint that the local tier holds."""
        return self._holdings.state(manifest)

    def wait(self, timeout: float) -> bool:
        """Waits until nothing is pending; returns whether that is so.

        Gives up after `timeout` seconds, and at once when the store refuses.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._pending or self.overtaken is not None or self.refused, timeout)
            return not self._pending

    def wait_for_any(self, manifests: Iterable[Manifest], timeout: float) -> bool:
        """Waits until one of these checkpoints is no longer pending; returns whether that is so.

        Gives up after `timeout` seconds, and at once when the store refuses.
        """
        stems = {manifest.stem for manifest in manifests}

        def are_pending() -> bool:
            return stems.issubset(one.stem for one in self._pending)

        with self._changed:
            self._changed.wait_for(lambda: not are_pending() or self.overtaken is not None or self.refused, timeout)
            return not are_pending()

    def wait_confirmed(self, timeout: float) -> bool:
        """Waits until the witness holds everything; returns whether that is so. Gives up after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._pending and not self._holdings.unconfirmed(), timeout)
            return not self._pending and not self._holdings.unconfirmed()

    def close(self) -> None:
        """Ends the thread after the file it is writing; what is pending stays so until the next session."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        for manifest in self._submitted():  # after a failure another one: what cannot be brought holds up no other
            try:
                self._replicate(manifest)
                self._done(manifest)
                pause = FIRST_PAUSE
            except Damaged as error:  # here, and so for good; the store keeps what it has
                if self._is_local(manifest):
                    say(f"generation {manifest.generation} cannot go to the store: {error}")
                self._done(manifest)
            except Overtaken as error:
                self._stop(str(error))
            except Exception as error:  # also what nobody thought of: without this thread nothing reaches the store
                if self._closing:
                    return
                self._failed(error)
                self._pause(LONGEST_PAUSE if self.refused else pause)
                pause = min(2 * pause, LONGEST_PAUSE) * JITTER.uniform(0.8, 1.2)

    def _submitted(self) -> Iterator[Manifest]:
        """The newest pending checkpoint that did not fail yet, or the newest of all if every one did.

        Between two of them, and while nothing is pending, it asks the witness.
        """
        asked = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._closing,
                                       CONFIRM_PAUSE if self._holdings.unconfirmed() else None)
                if self._closing or self.overtaken:
                    return
                if self._attempted.issuperset(one.stem for one in self._pending):
                    self._attempted.clear()
                manifest = max((one for one in self._pending if one.stem not in self._attempted),
                               key=lambda one: one.generation, default=None)
            if manifest:
                yield manifest
            if self._closing or self.overtaken:
                return
            if time.monotonic() - asked >= CONFIRM_PAUSE:
                self._confirm()
                asked = time.monotonic()

    def _replicate(self, manifest: Manifest) -> None:
        listed: Collection[str] | None = None
        if self._prepared:
            try:
                self._check_run()
                if self._doubted:
                    self._begin_again()
                else:
                    listed = self._holdings.check_still_there(manifest)
            except ClaimLost as error:
                say(f"{error}: copying everything again")
                self._tries.clear()
                self._begin_again()
        if not self._prepared:
            self._prepare()
        self._attempted.add(manifest.stem)  # not before: a store that does not answer at all says nothing of this one
        # What it can do without comes last: by then the store has shown that it takes files.
        whole = self._holdings.whole
        records = {name: record for name, record in {**manifest.files, **manifest.history}.items() if name not in whole}
        # One look for all, and none at what is not listed: a store may take half a second for each.
        there = self._remote.storage.stats(
            name for name in (*records, manifest.name) if listed is None or name in listed)
        whole.update(name for name, record in records.items() if there.get(name) == (record.size, record.md5))
        for name, record in records.items():
            if self._closing:
                raise StorageError("the session ends")
            self._bring(name, record, name in there, optional=name not in manifest.files)
        data = manifest.to_bytes()
        record, stat = FileRecord.of(data), there.get(manifest.name)
        other: Manifest | None = None
        if stat != (record.size, record.md5):
            other = self._of_same_state(manifest) if stat else None
            if other is None:
                self._write(manifest.name, data, record, bool(stat))
        self._claim.check()
        self._holdings.add([other or manifest])
        self._holdings.make_room()
        self._holdings.sweep()

    def _of_same_state(self, manifest: Manifest) -> Manifest | None:
        """The checkpoint as another session wrote it to the store, which reached the same state; it names other tables,
        whose rows were made at other times.
        """
        try:
            other = self._remote.read(manifest.name)
            self._remote.check(other)
        except (Damaged, NotFound):
            return None
        return other if other.state_sha256 == manifest.state_sha256 else None

    def _confirm(self) -> None:
        """Asks the witness what has arrived, which makes room."""
        try:
            found = self._holdings.confirm()
        except Exception as error:
            self._note_witness(error)
            return
        self._note_witness(None)
        if not found:
            return
        with self._changed:
            self._changed.notify_all()
        try:
            self._claim.check()  # if a newer session has come, this one deletes nothing
            self._holdings.make_room()
        except Overtaken as error:
            self._stop(str(error))
        except Exception as error:
            self._failed(error)
        else:
            with self._changed:
                if not self._pending:  # what went wrong in making room before has passed
                    self.error, self.refused = None, False

    def _write(self, name: str, data: bytes, record: FileRecord, there: bool) -> None:
        """Puts a file. A damaged one in its place is set aside.

        there: whether the store has one of that name. If this session tried to write it before, it is replaced, and
            set aside once if that does not fix it.
        """
        if there and self._tries[name] in (0, 2):
            self._remote.storage.set_aside(name)
            say(f"{name} was damaged in {self._remote.storage.place}: set aside as {name}.bad, and sent again")
        self._tries[name] += 1
        self._remote.write(name, data, record)

    def _bring(self, name: str, record: FileRecord, there: bool, optional: bool) -> None:
        if name in self._holdings.whole:
            return
        try:
            data = self._local.storage.get(name)
            record.check(name, data)
        except (Damaged, StorageError) as error:
            if optional:
                return
            if not isinstance(error, (Damaged, NotFound)):
                raise
            raise Damaged(str(error)) from error
        try:
            self._write(name, data, record, there)
        except StorageError as error:
            if not optional or isinstance(error, StorageRefused) or self._tries[name] < OPTIONAL_TRIES:
                raise
            if name not in self._gaps:
                self._gaps.add(name)
                say(f"continuing without {name}, a gap in the store's curves: {error}")
            return
        self._holdings.whole.add(name)

    def _is_local(self, manifest: Manifest) -> bool:
        """Whether this machine still has it: a store slower than the interval is overtaken by retention."""
        try:
            return manifest.name in self._local.storage.list(CHECKPOINTS)
        except StorageError:
            return True

    def _prepare(self) -> None:
        """Writes run.json if there is none, claims the run, learns which checkpoints the store holds, for
        retention, and clears what a killed session left.
        """
        record = FileRecord.of(self._identity)
        there = self._remote.storage.stats([RUN_JSON])
        if there.get(RUN_JSON) != (record.size, record.md5):
            self._remote.check_run()
            self._write(RUN_JSON, self._identity, record, bool(there))
        self._claim.take()
        self._claim.check()
        self._remote.clear()
        self._holdings.learn(here=max((manifest_generation(name) or 0 for name in self._local.names()), default=0))
        self._prepared, self._doubted = True, False

    def _check_run(self) -> None:
        """Raises Overtaken, or ClaimLost if the store's folder is not the one that this session knew."""
        storage, record = self._remote.storage, FileRecord.of(self._identity)
        storage.forget_listings()
        # First: on the way to this file the storage lists all folders that are looked into next. On a mount by a
        # listing: one that has not written the file through yet may put that off each time it is read.
        there = (self._remote.holds(RUN_JSON, record) if storage.proves
                 else storage.list("").get(RUN_JSON) == record.size)
        self._claim.check()
        if not there:
            raise ClaimLost(f"{self._remote.storage.place} no longer holds this run's run.json")

    def _begin_again(self) -> None:
        """Another folder has taken the store's place, or a mount came back: nothing that is known of it holds."""
        here = list(reversed(self._local.whole()))
        self._holdings.forget_all()
        with self._changed:
            known = {manifest.stem for manifest in here}
            self._pending = here + [manifest for manifest in self._pending if manifest.stem not in known]
        self._prepared = False

    def _done(self, manifest: Manifest) -> None:
        with self._changed:
            self._pending.remove(manifest)
            self._attempted.clear()
            self.error, self.refused = None, False
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        self._doubted = not self._remote.storage.proves
        with self._changed:
            self.error, self.refused = _message_of(error), isinstance(error, StorageRefused)
            self._changed.notify_all()

    def _note_witness(self, error: Exception | None) -> None:
        with self._changed:
            self.witness_error = _message_of(error) if error else None
            self.witness_refused = isinstance(error, StorageRefused)
            self._changed.notify_all()

    def _stop(self, overtaken: str) -> None:
        with self._changed:
            self.overtaken = overtaken
            self._changed.notify_all()

    def _pause(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closing, seconds)


def _message_of(error: Exception) -> str:
    return str(error) if isinstance(error, ColabRLError) else f"unexpected {type(error).__name__}: {error}"
