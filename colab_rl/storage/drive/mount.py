"""Drive as Colab mounts it: where that is, and Drive itself as the witness of what the mount has taken."""

from __future__ import annotations

import os
from pathlib import Path

from colab_rl.errors import StorageError
from colab_rl.progress import say
from colab_rl.storage.base import Storage

MOUNTED_DRIVE = Path(os.environ.get("COLAB_RL_MOUNT", "/content/drive"))  # where Colab mounts Drive
MY_DRIVE = "MyDrive"            # the folder of a mount that is the account's own Drive
SHARED_DRIVES = "Shareddrives"  # and the one that holds the shared drives
SHORTCUT_TARGETS = ".shortcut-targets-by-id"  # and where a shortcut to a folder leads


def default_store(say_missing: bool = False) -> str:
    """The mounted Drive's `colab_rl` folder on Colab, empty elsewhere, and if Drive is not mounted."""
    if "COLAB_RELEASE_TAG" not in os.environ:
        return ""
    if (MOUNTED_DRIVE / MY_DRIVE).is_dir():
        return str(MOUNTED_DRIVE / MY_DRIVE / "colab_rl")
    if say_missing:
        say("Drive is not mounted and no store is given: checkpoints stay on this machine and end with it; "
            "run the notebook's cell that connects the store, or give --store drive:colab_rl")
    return ""


def check_mounted(folder: Path, place: str) -> None:
    """Raises StorageError if the folder is in the mounted Drive and Drive is not mounted."""
    if folder.is_relative_to(MOUNTED_DRIVE) and not (MOUNTED_DRIVE / MY_DRIVE).is_dir():
        raise StorageError(f"store {place} not found (Drive is not mounted); nothing was changed; "
                           "run the notebook's cell that connects the store, or give --store drive:FOLDER or none")


def witness_of(folder: Path) -> Storage | None:
    """Drive itself, behind a mounted folder of My Drive, a shared drive or a shortcut. None if nobody is logged in."""
    from colab_rl.storage.drive.login import credentials, endpoint, may_have_login

    parts = Path(os.path.realpath(folder)).parts  # for a loop of links, `resolve` raises RuntimeError
    above = next((part for part in (SHORTCUT_TARGETS, MY_DRIVE, SHARED_DRIVES) if part in parts), None)
    titles = parts[parts.index(above) + 1:] if above else ()
    if not titles or not may_have_login():
        return None
    from colab_rl.storage.drive.client import DriveClient
    from colab_rl.storage.drive.storage import DriveStorage

    try:
        client = DriveClient(credentials(), endpoint())
        tops = ["root"]
        if above == SHORTCUT_TARGETS:  # the id of the folder, and its title
            tops, titles = [titles[0]], titles[2:]
        elif above == SHARED_DRIVES:
            tops, titles = client.shared_drives(titles[0]), titles[1:]
            if not tops:
                raise StorageError(f"the login sees no shared drive of the name in {folder}")
        # From the top on: what the mount has just made appears in Drive some time later.
        return DriveStorage(client, tops, "Drive", "/".join(titles))
    except StorageError as error:
        say(f"checkpoints are written to the mounted Drive and cannot be verified there: {error}")
        return None
