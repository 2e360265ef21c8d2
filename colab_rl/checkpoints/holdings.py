"""What the store is known to hold, and what that makes room for."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable

from colab_rl.checkpoints.claim import ClaimLost
from colab_rl.checkpoints.manifest import Manifest
from colab_rl.checkpoints.retention import orphans, prune
from colab_rl.checkpoints.tier import Tier
from colab_rl.errors import StorageError
from colab_rl.progress import say
from colab_rl.storage import retry_until

SETTLED = 3600.0  # seconds until a mount that nobody can ask is trusted to have written through


class Holdings:
    """The checkpoints that a session saw whole in `remote`, and which of them make room.

    A checkpoint is `written` once it was read back from the store. It is `verified` if that proves that it arrived, or
    if the storage's witness has it too. Older checkpoints are deleted only for verified ones, or, on a mount without a
    witness, for one that was written SETTLED seconds ago.

    identity: content of run.json, without which a bare machine finds no run.
    whole: names of files that were read back, manifests too.
    One thread changes it; any may ask for `state` and `unconfirmed`.
    """

    def __init__(self, remote: Tier, identity: bytes, keep_last: int, keep_every: int):
        self._remote = remote
        self._identity = identity
        self._keep = (keep_last, keep_every)
        self._lock = threading.Lock()             # around the three below
        self._written: dict[str, Manifest] = {}   # by stem: in the store, read back in this session
        self._settles: dict[str, float] = {}      # by stem: when it is trusted to have arrived, if nothing proves it
        self._confirmed: set[str] = set()         # stems of those that the witness has too
        self._orphans: set[str] = set()           # names of what no manifest was seen to name
        self.whole: set[str] = set()

    def state(self, manifest: Manifest) -> str:
        """`local`, `written` or `verified`: what is known of a checkpoint that the local tier holds."""
        with self._lock:
            if manifest.stem not in self._written:
                return "local"
            proven = self._remote.storage.proves or manifest.stem in self._confirmed
            return "verified" if proven else "written"

    def manifests(self) -> list[Manifest]:
        """The checkpoints that the store was seen to hold whole."""
        with self._lock:
            return list(self._written.values())

    def unconfirmed(self) -> list[Manifest]:
        """The checkpoints that the store's witness was not seen to hold yet; none without a witness."""
        if self._remote.storage.witness is None:
            return []
        with self._lock:
            return [manifest for stem, manifest in self._written.items() if stem not in self._confirmed]

    def learn(self, here: int) -> None:
        """Learns which checkpoints the store holds, and what a killed session left there. Raises StorageError.

        here: the newest generation on this machine. The store is ahead of it if it could not be listed when the
        session began.
        """
        whole = self._remote.whole()
        self.add(whole)
        if whole and whole[0].generation > here:
            say(f"{self._remote.storage.place} is ahead: it holds generation {whole[0].generation}, this machine "
                f"{here}. It takes nothing of this session until that has passed it. To continue from the store, stop "
                "and run the same command again")
        self._orphans = orphans(self._remote, whole[0]) if whole else set()

    def add(self, manifests: Iterable[Manifest]) -> None:
        """Checkpoints that were just read back."""
        with self._lock:
            for manifest in manifests:
                self._written[manifest.stem] = manifest
                self._settles.setdefault(manifest.stem, time.monotonic() + SETTLED)
                self.whole |= {manifest.name, *manifest.files}

    def forget_all(self) -> None:
        """Another folder has taken the store's place, or a mount came back: nothing that is known of it holds."""
        with self._lock:
            self._written.clear()
            self._settles.clear()
            self._confirmed.clear()
        self.whole.clear()

    def check_still_there(self, manifest: Manifest) -> Collection[str]:
        """Lists each folder that this checkpoint has files in; returns the names listed. No file is read.

        Raises ClaimLost if the store lacks what it took. A mount may have died and come back between two checkpoints,
        or somebody may have thrown a file away, and a manifest must not name what is lost.
        """
        storage = self._remote.storage
        folders = {name.partition("/")[0] for name in manifest.files}
        sizes = {name: record.size for one in (*self._written.values(), manifest)
                 for name, record in {**one.history, **one.files}.items()}
        took = [name for name in self.whole if name.partition("/")[0] in folders]

        def listing() -> dict[str, int]:
            return {name: size for folder in sorted(folders) for name, size in storage.list(f"{folder}/").items()}

        def lost(listed: dict[str, int]) -> list[str]:
            return [name for name in took if name not in listed or listed[name] != sizes.get(name, listed[name])]

        listed = listing() if storage.consistent else retry_until(listing, lambda listed: listed and not lost(listed))
        if missing := lost(listed):
            raise ClaimLost(f"{storage.place} no longer holds {min(missing)}, which it took")
        return listed

    def confirm(self) -> bool:
        """Asks the witness what has arrived; returns whether that is more than before. Raises StorageError."""
        if self._remote.storage.witness:
            self._remote.storage.witness.forget_listings()
        found = {manifest.stem for manifest in self._remote.confirmed(self.unconfirmed(), self._identity)}
        with self._lock:
            self._confirmed |= found
        return bool(found)

    def make_room(self) -> None:
        """Retention, among the checkpoints of which most is known. Raises StorageError. Call it again to continue."""
        certain = {stem: manifest for stem, manifest in self._written.items() if self._is_certain(stem)}
        before = set(certain)
        uncertain = [manifest for stem, manifest in self._written.items() if stem not in before]
        try:
            prune(self._remote, certain, *self._keep, others=uncertain)
        except StorageError:
            self.whole.clear()  # one of them may be gone, and that is not known
            raise
        finally:
            self._forget(before - set(certain))

    def _forget(self, stems: Collection[str]) -> None:
        """These were deleted, and with them what no other checkpoint needs: one that is pending may need it."""
        deleted = [self._written[stem] for stem in stems]
        gone = {name for manifest in deleted for name in (manifest.name, *manifest.files, *manifest.history)}
        with self._lock:
            for stem in stems:
                del self._written[stem], self._settles[stem]
        self.whole -= gone - {name for manifest in self._written.values()
                              for name in (*manifest.files, *manifest.history)}

    def _is_certain(self, stem: str) -> bool:
        """Whether what was written makes room for older ones."""
        storage = self._remote.storage
        if storage.witness:
            return stem in self._confirmed
        return storage.proves or time.monotonic() >= self._settles[stem]

    def sweep(self) -> None:
        """Deletes what a killed session left. Only what looks so twice: a listing may be an old one."""
        if self._orphans:
            newest = max(self._written.values(), key=lambda manifest: manifest.generation)
            for name in self._orphans & orphans(self._remote, newest):
                self._remote.storage.delete(name)
                self.whole.discard(name)  # a try that failed may have seen it there
            self._orphans = set()
