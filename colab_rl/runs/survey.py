"""All runs at a glance, from a few listings, each run.json and each newest manifest. No other file is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from colab_rl.checkpoints import Damaged, Manifest
from colab_rl.checkpoints.layout import FOLDERS, RUN_JSON, manifest_generation
from colab_rl.checkpoints.manifest import FileRecord
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places, read_copies, runs_in
from colab_rl.sealed import NewerFormat
from colab_rl.storage import FolderStorage, NotFound, Stat, Storage

# Every checkpoint in a place, by its manifest's file name, the newest first: the manifest, None if it cannot be read,
# and `verified`, `written` or `bad`.
Checkpoints = dict[str, tuple[Manifest | None, str]]
Listed = tuple[FileRecord, Manifest]  # what a manifest's own file must be, and what it says


class RunSurvey(NamedTuple):
    """A run, and its checkpoints on this machine and in the store."""

    identity: Identity
    local: Checkpoints
    store: Checkpoints


def survey(places: Places, tell: Callable[[str], object] = say) -> list[RunSurvey]:
    """Every run in its name's order.

    A checkpoint is `bad` if its manifest is damaged, if a file has another size than it should, or another MD5 if the
    storage's listing has it. It does not read what the files of a folder hold.
    tell: gets a line about each run that cannot be read. Raises StorageError if a place cannot be listed.
    """
    shelves = [_Shelf(storage) for storage in (FolderStorage(places.root), places.store) if storage]
    identities = {}
    for name in sorted({name for shelf in shelves for name in shelf.runs}):
        try:
            copies = read_copies((f"{shelf.storage.place}/{name}", shelf.run_json(name)) for shelf in shelves)
            if identity := copies.agreed(name):
                identities[name] = identity
        except ColabRLError as error:  # one damaged run does not hide the others
            tell(f"{name}: {error}")
    found = [shelf.checkpoints(identities, tell) for shelf in shelves]
    return [RunSurvey(identity, found[0].get(name, {}), found[1].get(name, {}) if places.store else {})
            for name, identity in identities.items()]


class _Shelf:
    """The runs of one place."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self._stats = runs_in(storage)
        for name, stats in self._listed(storage, FOLDERS).items():
            self._stats[name] |= stats
        self._newest_first = {name: sorted(
            (file for file in files if manifest_generation(file) is not None),
            key=lambda file: (manifest_generation(file), file), reverse=True) for name, files in self._stats.items()}
        self._contents = self._read([*((name, RUN_JSON) for name in self.runs),
                                     *((name, files[0]) for name, files in self._newest_first.items() if files)])
        self._witnessed: dict[str, dict[str, Stat]] = {}
        if storage.witness:
            try:
                self._witnessed = self._listed(storage.witness, ("", *FOLDERS))
            except StorageError as error:
                say(f"{storage.place} cannot be verified in {storage.witness.service}: {error}")

    @property
    def runs(self) -> Iterable[str]:
        """Their names."""
        return self._stats.keys()

    def run_json(self, name: str) -> Callable[[], bytes]:
        """Reads the run's run.json, as `read_copies` takes it."""
        return lambda: self._content(name, RUN_JSON)

    def checkpoints(self, identities: dict[str, Identity], tell: Callable[[str], object]) -> dict[str, Checkpoints]:
        """The checkpoints of those runs that the place holds, by run. A run that cannot be read leaves `identities`."""
        told = {name: self._told_by_newest(name, identities[name].run_id) for name in self.runs if name in identities}
        self._contents |= self._read(
            (name, file) for name, earlier in told.items()
            for file in self._newest_first[name][1:] if not self._is_listed(name, file, earlier))
        found = {}
        for name, earlier in told.items():
            try:
                found[name] = self._checkpoints_of(name, identities[name].run_id, earlier)
            except NewerFormat as error:
                tell(f"{name}: {error}")
                del identities[name]
        return found

    def _told_by_newest(self, name: str, run_id: str) -> dict[str, Listed]:
        """The newest manifest, and what it says of those before it."""
        newest = next(iter(self._newest_first[name]), "")
        try:
            told = self._manifest(name, newest, run_id, {})
        except (Damaged, NewerFormat, StorageError):
            return {}
        return {**told[1].earlier_manifests, newest: told}

    def _is_listed(self, name: str, file: str, earlier: Mapping[str, Listed]) -> bool:
        """Whether a manifest is still what the newest one saw, by the MD5 of a listing."""
        return file in earlier and self._stats[name][file] == (earlier[file][0].size, earlier[file][0].md5)

    def _checkpoints_of(self, name: str, run_id: str, earlier: Mapping[str, Listed]) -> Checkpoints:
        found: Checkpoints = {}
        run_json = self._contents[name, RUN_JSON]
        witnessed = self._witnessed.get(name, {})
        records = {RUN_JSON: FileRecord.of(run_json)} if witnessed and isinstance(run_json, bytes) else {}
        for file in self._newest_first[name]:
            try:
                record, manifest = self._manifest(name, file, run_id, earlier)
            except NotFound:  # a run that trains removes its oldest while they are read
                continue
            except (Damaged, StorageError):
                found[file] = None, "bad"
                continue
            if not _are_there(self._stats[name], manifest.files):
                state = "bad"
            elif self.storage.proves or (records and _are_there(witnessed,
                                                                {**records, **manifest.files, file: record})):
                state = "verified"
            else:
                state = "written"
            found[file] = manifest, state
        return found

    def _manifest(self, name: str, file: str, run_id: str, earlier: Mapping[str, Listed]) -> Listed:
        if self._is_listed(name, file, earlier):
            return earlier[file]
        record = FileRecord.of(data := self._content(name, file))
        if file in earlier and earlier[file][0] == record:  # a tenth of the time that parsing takes
            return earlier[file]
        return record, Manifest.from_bytes(file, data, run_id)

    def _listed(self, storage: Storage, folders: Iterable[str]) -> dict[str, dict[str, Stat]]:
        """The files in these folders of every run, by run and by name in its folder."""
        found: dict[str, dict[str, Stat]] = {name: {} for name in self.runs}
        paths = [f"{name}/{folder}".removesuffix("/") for name in self.runs for folder in folders]
        for path, stat in storage.list_files(paths).items():
            name, _, file = path.partition("/")
            found[name][file] = stat
        return found

    def _content(self, name: str, file: str) -> bytes:
        """A file that was read. Raises NotFound or StorageError."""
        content = self._contents.get((name, file), NotFound(f"{name}/{file} is not in {self.storage.place}"))
        if isinstance(content, StorageError):
            raise content
        return content

    def _read(self, files: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes | StorageError]:
        def read(file: tuple[str, str]) -> bytes | StorageError:
            try:
                return self.storage.get("/".join(file))
            except StorageError as error:
                return error

        files = list(files)
        contents = self.storage.map(read, files)
        return dict(progress_bar(len(files), f"reading {self.storage.place}", "file",
                                 iterable=zip(files, contents, strict=True)))


def _are_there(stats: Mapping[str, Stat], records: Mapping[str, FileRecord]) -> bool:
    return all(name in stats and stats[name].matches(record.size, record.md5) for name, record in records.items())
