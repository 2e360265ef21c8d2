"""Opening a store that a person names by a path: a folder of this machine, a mounted Drive, any other disk."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from colab_rl.errors import StorageError, UsageError
from colab_rl.progress import say
from colab_rl.storage.base import retry_until
from colab_rl.storage.drive import mount
from colab_rl.storage.folder import FolderStorage
from colab_rl.storage.names import same_looking


def open_path(place: str, make: bool) -> FolderStorage:
    """The store in that folder. See `open_store`."""
    folder = absolute_path(place, "store")
    try:
        mount.check_mounted(folder, place)
        storage = FolderStorage(folder)
        if not storage.proves:
            storage.witness = mount.witness_of(folder)
        if make and not _is_there(storage) and folder.parent.is_dir():
            folder.mkdir()
            say(f"made the folder {folder} for the store")
        if not folder.is_dir():
            reason = "it is a file" if folder.exists() else "there is no such folder"
            raise StorageError(f"store {place} not found ({reason}); nothing was changed; "
                               "make the folder or mount it, or give --store none")
    except OSError as error:
        raise StorageError(f"store {place} cannot be used: {error.strerror}; nothing was changed; fix that, or "
                           "give another --store, or none") from error
    if make and not storage.proves and storage.witness is None:
        say(f"{folder} is a mount, which answers from this machine's cache, and nobody is logged in to Drive "
            "itself: checkpoints there are `written` and never `verified` (docs/guides/drive.md)")
    return storage


def absolute_path(path: str | os.PathLike, what: str) -> Path:
    """What a person gave as a path, whichever folder an environment changes to later.

    `~` is the home folder even if no shell has seen it, as in `--root=~/runs`. what: it is to be, for people.
    Raises UsageError if there is no such home folder, or if the path is relative and the current folder is gone.
    """
    try:
        return _as_spelt_there(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise UsageError(f"{what} {path} begins with the home folder of a user whom this machine does not "
                         "know") from error
    except OSError as error:
        raise UsageError(f"{what} {path} is relative, and the current folder is gone; nothing was changed; change to "
                         f"an existing folder, or give {what} as an absolute path") from error


def _as_spelt_there(path: Path) -> Path:
    """The path with the names of what is there, if they only look like the given ones, as those that a Mac made."""
    if os.path.lexists(path) or path == path.parent:
        return path
    above, names = _as_spelt_there(path.parent), []
    with contextlib.suppress(OSError):
        names = sorted(same_looking(os.listdir(above), path.name))
    return above / (names[0] if names else path.name)


def _is_there(storage: FolderStorage) -> bool:
    """Whether the store's folder is there.

    Raises StorageError if a mount does not show it and its witness has runs in it: a new one would hide them.
    """
    if storage.proves:
        return storage.root.exists()
    if retry_until(storage.root.exists):
        return True
    found: Sequence[str] = ()
    if storage.witness:
        with contextlib.suppress(StorageError):  # then the mount alone is asked, as without a login
            found = storage.witness.folders()
    if storage.witness and found:
        raise StorageError(f"{storage.witness.service} has {storage.place}, with {found[0]} in it, and the mount does "
                           "not show it; nothing was changed; mount Drive again, or run the same command "
                           "in a minute")
    return False
