"""Taking a run or a sweep away: to the trash folders of this machine and of the store, or for good if a run trained
nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import shutil
from dataclasses import dataclass

from colab_rl.arguments import checked
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.progress import progress_bar
from colab_rl.runs.identity import PLAN_JSON, SWEEPS, DamagedIdentity, Identity, check_run_name
from colab_rl.runs.lock import LOCK, locked
from colab_rl.runs.places import Location, Places, runs_among
from colab_rl.sealed import NewerFormat
from colab_rl.storage import FolderStorage, NotFound, Storage

TRASH = ".trash"  # no run can have that name, so that nothing lists what lies in it


@dataclass(frozen=True)
class Removal:
    """The folders to which `delete` moved the files of a run, or of a sweep and its runs.

    runs: the run itself, or those of the sweep.
    """

    run: str
    trash: list[str]
    runs: list[str]

    def summary(self) -> str:
        """The trash folders, in a line."""
        places, folder = " and ".join(self.trash), "that folder" if len(self.trash) == 1 else "those folders"
        if self.runs == [self.run]:
            return (f"{self.run} was moved to {places}; to have it back, move its folder back; to free the space, "
                    f"delete {folder}")
        return (f"{self.run} and its runs ({len(self.runs)}) were moved to {places}; to have them back, move what lies "
                f"in there back; to free the space, delete {folder}")


@checked
def delete(run: str, *, root: Location = None, store: Location = None) -> Removal:
    """Moves a run to the trash folder of this machine's runs, and in the store if it has the run too. Of a sweep it
    moves all runs.

    Raises UsageError for an unknown run. Raises ColabRLError for a folder without a run.json, or if a session on this
    machine trains a run. Then it has moved nothing.
    """
    places = Places(root, store)
    sweep = f"{SWEEPS}/{run}" if is_sweep(run, places) else None
    runs = runs_among(places.names(), run) if sweep else [run]
    trash, moved = f"{TRASH}/{run}-{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}", []
    with locked(places.local(sweep)) if sweep else contextlib.nullcontext():
        for name in runs:
            with locked(places.local(name)):
                pass
        for name in runs:
            with locked(places.local(name)):
                moved += _moved(places, name, f"{trash}/{name}" if sweep else trash)
            shutil.rmtree(places.tensorboard(name), ignore_errors=True)  # a view: training rebuilds it
        if sweep:  # last: if this stops early, there is still a sweep to delete
            moved += _moved(places, sweep, f"{trash}/{sweep}")
    return Removal(run, [f"{place}/{trash}" for place in dict.fromkeys(moved)], runs)


def is_sweep(run: str, places: Places) -> bool:
    """Whether a sweep has that name, and not a run. A run with a damaged run.json is a run.

    Raises UsageError if neither has it, ColabRLError for a folder without a run.json.
    """
    check_run_name(run)
    if any(_has_run_json(storage) for storage in (places.local(run), places.remote(run)) if storage):
        return False
    if places.has_sweep(run):
        return True
    places.require(run)
    return False


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


def _has_run_json(storage: Storage) -> bool:
    with contextlib.suppress(NotFound):
        storage.get(RUN_JSON)
        return True
    return False


def _is_of(identity: Identity, storage: Storage) -> bool:
    """Whether a folder is that run's."""
    with contextlib.suppress(NotFound, DamagedIdentity, NewerFormat):
        return Identity.from_bytes(storage.get(RUN_JSON), storage.place).run_id == identity.run_id
    return False


def _moved(places: Places, name: str, trash: str) -> list[str]:
    """Moves the folder of a run or a sweep, here and in the store; returns the places where it lay. The caller holds
    its lock.
    """
    here, there, moved = places.local(name), places.remote(name), []
    # The store first: what is gone here alone would come back from there.
    for storage, above in ((there, places.store), (here, FolderStorage(places.root))):
        if storage and above and _files(storage):
            _move(storage, above.subfolder(trash))
            moved.append(above.place)
    if isinstance(there, FolderStorage):
        _remove_empty_folders(there)
    _remove_empty_folders(here)
    return moved


def _move(storage: Storage, target: Storage) -> None:
    """Every file, copied first: a run is never in two halves."""
    names = _files(storage)
    for name in progress_bar(len(names), f"moving {storage.place}", "file", iterable=names):
        data = storage.get(name)
        target.put(name, data)
        if target.stat(name).size != len(data):
            raise ColabRLError(f"{name} could not be copied to {target.place}; nothing was deleted")
    _clear(storage)


def _clear(storage: Storage) -> None:
    for name in _files(storage):
        storage.delete(name)


def _files(storage: Storage) -> list[str]:
    """The files without the lock. run.json or plan.json is the first: once it is gone, the rest is no run or sweep."""
    names = (name for name in storage.list("") if name != LOCK)
    return sorted(names, key=lambda name: name not in (RUN_JSON, PLAN_JSON))


def _remove_empty_folders(storage: FolderStorage) -> None:
    """Removes the folders of a run whose files are gone, and its lock last: then another session may begin the run."""
    for folder in sorted((path for path in storage.root.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()
    with contextlib.suppress(OSError):  # a session has just begun the run anew
        (storage.root / LOCK).unlink(missing_ok=True)
        storage.root.rmdir()
