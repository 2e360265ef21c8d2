"""Taking a run away: to the trash folders of this machine and of its store, or for good if it trained nothing."""

from __future__ import annotations

import contextlib
import datetime
import shutil
from dataclasses import dataclass

from colab_rl.arguments import checked
from colab_rl.checkpoints import NewerFormat
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import progress_bar
from colab_rl.runs.identity import DamagedIdentity, Identity, check_run_name
from colab_rl.runs.lock import locked
from colab_rl.runs.places import Location, Places
from colab_rl.storage import FolderStorage, NotFound, Storage

TRASH = ".trash"  # no run can have that name, so that nothing lists what lies in it


@dataclass(frozen=True)
class Removal:
    """The folders to which `delete` moved the files of a run."""

    run: str
    trash: list[str]

    def summary(self) -> str:
        """The trash folders, in a line."""
        return (f"{self.run} was moved to {' and '.join(self.trash)}; to have it back, move its folder back; to free "
                "the space, delete that folder")


@checked
def delete(run: str, *, root: Location = None, store: Location = None) -> Removal:
    """Moves a run to the trash folder of this machine's runs, and in the store if it has the run too.

    Raises UsageError for an unknown run, ColabRLError if a session on this machine trains it.
    """
    places = Places(root, store)
    check_run_name(run)
    here, there = places.local(run), places.remote(run)
    if not here.list(""):
        places.require(run)
    name = f"{TRASH}/{run}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    moved = []
    with locked(here):
        # The store first: what is gone here alone would come back from there.
        for storage, above in ((there, places.store), (here, FolderStorage(places.root))):
            if storage and above and storage.list(""):
                _move(storage, above.subfolder(name))
                moved.append(f"{above.place}/{name}")
        shutil.rmtree(places.tensorboard(run), ignore_errors=True)  # a view: training rebuilds it
    _remove_empty_folders(here)
    if isinstance(there, FolderStorage):
        _remove_empty_folders(there)
    return Removal(run, moved)


def remove_if_untrained(identity: Identity, places: Places) -> bool:
    """Removes a run that has saved no trained state, and says whether it did: its one checkpoint is its beginning.

    A folder that another run has taken meanwhile is left alone.
    """
    local, remote = places.tiers(identity)
    tiers = [tier for tier in (remote, local) if tier]
    try:
        if not _is_of(identity, local.storage) or any(one.generation > 1 for tier in tiers for one in tier.manifests()):
            return False
        for tier in tiers:
            if _is_of(identity, tier.storage):
                _clear(tier.storage)
    except StorageError:
        return False
    shutil.rmtree(places.tensorboard(identity.name), ignore_errors=True)
    _remove_empty_folders(places.local(identity.name))
    return True


def _is_of(identity: Identity, storage: Storage) -> bool:
    """Whether a folder is that run's."""
    with contextlib.suppress(NotFound, DamagedIdentity, NewerFormat):
        return Identity.from_bytes(storage.get(RUN_JSON), storage.place).run_id == identity.run_id
    return False


def _move(storage: Storage, target: Storage) -> None:
    """Every file, copied first: a run is never in two halves. run.json goes first, so that it is a run no more."""
    names = sorted(storage.list(""), key=lambda name: name != RUN_JSON)
    for name in progress_bar(len(names), f"moving {storage.place}", "file", iterable=names):
        data = storage.get(name)
        target.put(name, data)
        if target.stat(name).size != len(data):
            raise ColabRLError(f"{name} could not be copied to {target.place}; nothing was deleted")
    _clear(storage)


def _clear(storage: Storage) -> None:
    for name in sorted(storage.list(""), key=lambda name: name != RUN_JSON):
        storage.delete(name)


def _remove_empty_folders(storage: FolderStorage) -> None:
    """The folders of a run whose files are gone."""
    (storage.root / ".lock").unlink(missing_ok=True)
    for folder in sorted((path for path in storage.root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    if storage.root.is_dir() and not any(storage.root.iterdir()):
        storage.root.rmdir()
