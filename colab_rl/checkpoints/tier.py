"""The checkpoints of one run in one place: this machine's folder, or the store's.

Both tiers follow one protocol: files first, each read back; the manifest last. What has
no whole manifest, or not every file it names, does not exist.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from colab_rl.checkpoints.layout import CHECKPOINTS, FOLDERS, RUN_JSON, SESSIONS, manifest_generation
from colab_rl.checkpoints.manifest import Damaged, FileRecord, Manifest
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.storage import NotFound, Storage


class Tier:
    """Commits, finds, checks and removes checkpoints of the run `run_id` in `storage`.

    identity: content of run.json. If it is set, nothing is committed to a folder that lacks it.
    """

    def __init__(self, storage: Storage, run_id: str):
        self.storage = storage
        self.run_id = run_id
        self.identity: bytes | None = None

    def commit(self, manifest: Manifest, contents: dict[str, bytes]) -> None:
        """Writes a checkpoint.

        Raises StorageError, or ColabRLError if the folder no longer belongs to the run. If somebody renamed or removed
        it, no command would find what is written to a new one.

        contents: every file of `manifest.files` but replay segments that the place holds already.
        """
        if self.identity is not None and not self.holds(RUN_JSON, FileRecord.of(self.identity)):
            raise ColabRLError(
                f"{self.storage.place} no longer holds this run's run.json: was the folder renamed or removed? "
                f"Nothing was written there; kept: the generations before {manifest.generation}, where the folder is "
                "now, and what is in the store; put it back, or continue under its new name")
        for name, record in manifest.files.items():
            if name in contents or name not in manifest.segments:
                self.write(name, contents[name], record)
        data = manifest.to_bytes()
        self.write(manifest.name, data, FileRecord.of(data))

    def clear(self) -> None:
        """Removes what killed sessions left half written; not what somebody else writes, such as a film."""
        self.storage.remove_temporary_files(("", *FOLDERS, SESSIONS))

    def write(self, name: str, data: bytes, record: FileRecord) -> None:
        """Puts a file and reads it back. Raises StorageError if the place holds something else."""
        self.storage.put(name, data)
        stat = self.storage.stat(name)
        if (stat.size, stat.md5) != (record.size, record.md5):
            raise StorageError(f"{name} reads back from {self.storage.place} other than it was written")

    def check_run(self) -> None:
        """Raises StorageError if the folder belongs to another run; one that cannot be read says nothing of that."""
        with contextlib.suppress(NotFound, ValueError, AttributeError, RecursionError):
            other = json.loads(self.storage.get(RUN_JSON)).get("run_id", self.run_id)
            if other != self.run_id:
                raise StorageError(f"{self.storage.place} holds another run of this name: "
                                   "give this one's store another folder")

    def holds(self, name: str, record: FileRecord) -> bool:
        """Whether the place has that file, whole."""
        return bool(self.holding({name: record}))

    def holding(self, records: Mapping[str, FileRecord]) -> set[str]:
        """Those of the files that the place has, whole."""
        found = self.storage.stats(records)
        return {name for name, stat in found.items() if stat == (records[name].size, records[name].md5)}

    def names(self) -> list[str]:
        """Names of all manifest files, newest generation first."""
        names = [name for name in self.storage.list(CHECKPOINTS) if manifest_generation(name) is not None]
        return sorted(names, key=lambda name: (manifest_generation(name), name), reverse=True)

    def read(self, name: str) -> Manifest:
        """The manifest in the file `name`. Raises Damaged, NewerFormat or StorageError."""
        return Manifest.from_bytes(name, self.storage.get(name), self.run_id)

    def read_all(self) -> dict[str, Manifest | None]:
        """Every manifest by its file's name, newest first; None for one that cannot be read."""
        def read(name: str) -> Manifest | None:
            with contextlib.suppress(Damaged, StorageError):
                return self.read(name)
            return None

        names = self.names()
        return dict(zip(names, self.storage.map(read, names), strict=True))

    def manifests(self) -> list[Manifest]:
        """Every manifest that can be read, newest first."""
        return [manifest for manifest in self.read_all().values() if manifest]

    def whole(self) -> list[Manifest]:
        """Every checkpoint whose files are all here and unchanged, newest first."""
        return self.whole_among(self.manifests())

    def whole_among(self, manifests: Sequence[Manifest]) -> list[Manifest]:
        """Those of the checkpoints whose files are all here and unchanged; a file that several name is read once."""
        try:
            held = self.holding({name: record for manifest in manifests for name, record in manifest.files.items()})
        except StorageError:  # one file that cannot be read hides no other checkpoint
            return [manifest for manifest in manifests if self._can_check(manifest)]
        return [manifest for manifest in manifests if held.issuperset(manifest.files)]

    def _can_check(self, manifest: Manifest) -> bool:
        with contextlib.suppress(Damaged, StorageError):
            self.check(manifest)
            return True
        return False

    def check(self, manifest: Manifest, known: Collection[str] = ()) -> None:
        """Raises Damaged unless every file that the checkpoint needs, but those of `known`, is here, whole."""
        records = {name: record for name, record in manifest.files.items() if name not in known}
        for name in set(records) - self.holding(records):
            raise Damaged(f"{name} in {self.storage.place} is missing, cut or changed")

    def confirmed(self, manifests: Collection[Manifest], identity: bytes) -> list[Manifest]:
        """Those of the checkpoints whose every file the storage's witness holds, whole. Raises StorageError.

        identity: content of run.json, without which they are no run's.
        """
        if self.storage.witness is None or not manifests:
            return []
        run = {RUN_JSON: FileRecord.of(identity)}
        records = {manifest.stem: {**run, **manifest.files, manifest.name: FileRecord.of(manifest.to_bytes())}
                   for manifest in manifests}
        held = Tier(self.storage.witness, self.run_id).holding(
            {name: record for files in records.values() for name, record in files.items()})
        return [manifest for manifest in manifests if held.issuperset(records[manifest.stem])]

    def load(self, manifest: Manifest) -> dict[str, bytes]:
        """Content of a checkpoint's files but its replay segments, checked. Raises Damaged or StorageError."""
        return {name: self.content(name, record) for name, record in manifest.files.items()
                if name not in manifest.segments}

    def content(self, name: str, record: FileRecord) -> bytes:
        """Content of a file, checked by SHA-256. Raises Damaged or StorageError."""
        try:
            data = self.storage.get(name)
        except NotFound as error:
            raise Damaged(str(error)) from error
        record.check(name, data)
        return data

    def remove(self, manifest: Manifest, keep: Iterable[Manifest]) -> None:
        """Deletes a checkpoint and those of its files that no manifest of `keep` names.

        The manifest goes first: a kill in between leaves files without a manifest, which
        are nothing, and not a manifest without files, which looks like damage.
        """
        needed = {name for other in keep for name in (*other.files, *other.history)}
        self.storage.delete(manifest.name)
        for name in (*manifest.files, *manifest.history):
            if name not in needed:
                self.storage.delete(name)
