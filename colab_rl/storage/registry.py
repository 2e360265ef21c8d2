"""Opening a store by what a person calls it: a folder, `drive:FOLDER`, or `none`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from colab_rl.errors import StorageError, UsageError
from colab_rl.progress import say
from colab_rl.storage.base import Storage, looked_again
from colab_rl.storage.folder import FolderStorage, expanded

MOUNTED_DRIVE = Path(os.environ.get("COLAB_RL_MOUNT", "/content/drive"))  # where Colab mounts Drive
MY_DRIVE = "MyDrive"                    # the folder of a mount that is the account's own Drive
SHARED_DRIVES = "Shareddrives"          # and the one that holds the shared drives


def open_store(place: str | None, make: bool) -> Storage | None:
    """The store of that name, None for `none`; without a name on Colab the mounted Drive's `colab_rl` folder.

    make: makes the store's folder where it is missing and the one above it is there.
    Raises UsageError, or StorageError where it is not there.
    """
    if not place and "COLAB_RELEASE_TAG" in os.environ:
        if (MOUNTED_DRIVE / MY_DRIVE).is_dir():
            place = str(MOUNTED_DRIVE / MY_DRIVE / "colab_rl")
        elif make:
            say("Drive is not mounted and no store is given: checkpoints stay on this machine and end with it; "
                "run notebooks/00_setup.ipynb first, or give --store drive:colab_rl")
    if not place or place.lower() == "none":
        return None
    if place.startswith("drive:"):
        return _open_drive(place, make)
    if re.match(r"https?://|drive\.google\.com/", place, re.IGNORECASE):
        raise UsageError(f"store {place}: an address in Drive follows drive:, such as "
                         "drive:https://drive.google.com/drive/folders/...")
    folder = expanded(place, "store")
    try:
        if folder.is_relative_to(MOUNTED_DRIVE) and not (MOUNTED_DRIVE / MY_DRIVE).is_dir():
            raise StorageError(f"store {place} is not there (Drive is not mounted); nothing was changed; "
                               "run notebooks/00_setup.ipynb, or give --store drive:FOLDER or none")
        storage = FolderStorage(folder)
        if not storage.proves:
            storage.witness = _witness(folder)
        if make and not _is_there(storage) and folder.parent.is_dir():
            folder.mkdir()
            say(f"made the folder {folder} for the store")
        if not folder.is_dir():
            reason = "it is a file" if folder.exists() else "there is no such folder"
            raise StorageError(f"store {place} is not there ({reason}); nothing was changed; "
                               "make the folder or mount it, or give --store none")
    except OSError as error:
        raise StorageError(f"store {place} cannot be used: {error.strerror}; nothing was changed; mend that, or "
                           "give another --store, or none") from error
    if make and not storage.proves and storage.witness is None:
        say(f"{folder} is a mount, which answers from this machine's cache, and nobody is logged in to Drive "
            "itself: checkpoints there are `written` and never `verified` (docs/drive.md)")
    return storage


def _is_there(storage: FolderStorage) -> bool:
    """Whether the store's folder is there. Raises StorageError where a mount does not show it and Drive itself has runs
    in it: a new one would hide them.
    """
    if storage.proves:
        return storage.root.exists()
    if looked_again(storage.root.exists):
        return True
    found: Sequence[str] = ()
    if storage.witness:
        with contextlib.suppress(StorageError):  # then the mount alone is asked, as without a login
            found = storage.witness.folders()
    if found:
        raise StorageError(f"Drive has {storage.place}, with {found[0]} in it, and the mount does not show it; nothing "
                           "was changed; mount Drive again (00_setup), or run the same command in a minute")
    return False


def _open_drive(place: str, make: bool) -> Storage:
    # Google's libraries take half a second to import, and most runs need none of them.
    from colab_rl.storage.drive.client import DriveClient
    from colab_rl.storage.drive.login import credentials, endpoint
    from colab_rl.storage.drive.storage import open_drive, titles_in

    titles_in(place)  # a name that is none needs no login to be refused
    return open_drive(DriveClient(credentials(), endpoint()), place, make)


def _witness(folder: Path) -> Storage | None:
    """Drive itself, behind a mounted folder of My Drive or a shared drive, where somebody is logged in; else None."""
    parts = Path(os.path.realpath(folder)).parts  # for a loop of links, `resolve` raises RuntimeError
    above = next((part for part in (MY_DRIVE, SHARED_DRIVES) if part in parts), None)
    from colab_rl.storage.drive.login import credentials, endpoint, may_have_login

    titles = parts[parts.index(above) + 1:] if above else ()
    if not titles or not may_have_login():
        return None
    from colab_rl.storage.drive.client import DriveClient
    from colab_rl.storage.drive.storage import DriveStorage

    try:
        client = DriveClient(credentials(), endpoint())
        if above == MY_DRIVE:
            tops = ["root"]
        else:
            tops, titles = client.shared_drives(titles[0]), titles[1:]
            if not tops:
                raise StorageError(f"the login sees no shared drive of the name in {folder}")
        # From the top on: what the mount has just made appears in Drive some time later.
        return DriveStorage(client, tops, "Drive", "/".join(titles))
    except StorageError as error:
        say(f"checkpoints are written to the mounted Drive and cannot be verified there: {error}")
        return None
