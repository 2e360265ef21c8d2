"""Colab's own things: its Drive mount, its consent, giving the machine back. Elsewhere they do nothing.

Nothing here waits for a missing browser: what asks a person is called once, by a cell that the person
runs, and never while a run trains.
"""

from __future__ import annotations

import os
from typing import Any

from colab_rl.arguments import checked
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.machine import on_colab
from colab_rl.progress import say
from colab_rl.runs.places import Places, store_name
from colab_rl.runs.push import push
from colab_rl.storage.drive.mount import MOUNTED_DRIVE, MY_DRIVE
from colab_rl.storage.path import absolute_path
from colab_rl.storage.registry import is_path, needs_google_login

KEEP, UNMOUNT, GIVE_BACK = "keep the machine", "unmount Drive", "give the machine back"
ENDS = (KEEP, UNMOUNT, GIVE_BACK)
OFFERS = ('set STORE to "drive:colab_rl" for Drive without a mount, to a folder, or to "none" for this machine '
          "only, where runs end with it")


class NotConnected(ColabRLError):
    """Drive cannot be reached the way it was asked for."""


@checked
def connect(store: str = "", verify: bool = False) -> str | None:
    """Makes the store reachable, and returns its name: on Colab mounts Drive, or logs in to it, if that is needed.

    store: as for runs.Places; on Colab the mounted Drive's `colab_rl` if nobody said, elsewhere None.
    verify: logs in for a mounted Drive too, so that checkpoints are verified in Drive itself.
    Raises NotConnected, with the reason and the alternatives, if a person declines or it fails.
    """
    store = store_name(store.strip())
    if not on_colab():
        return store or None
    if needs_google_login(store):
        log_in()
    elif not store or (is_path(store) and absolute_path(store, "store").is_relative_to(MOUNTED_DRIVE)):
        mount_drive()
        if verify:
            try:
                log_in()
            except NotConnected as error:
                say(f"checkpoints will be `written` to the mounted Drive and not `verified` in Drive itself: {error}")
    return store or _own_folder()


def _own_folder() -> str:
    """The mounted Drive's `colab_rl`, made if it is missing. Raises NotConnected."""
    folder = MOUNTED_DRIVE / MY_DRIVE / "colab_rl"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise NotConnected(f"{folder} cannot be made: {error.strerror}; {OFFERS}") from error
    return str(folder)


def mount_drive() -> None:
    """Mounts Drive, or uses the mount that is there, which asks nobody. Raises NotConnected."""
    state = _mount_state()
    if state == "alive":
        return
    from google.colab import drive

    try:
        # By force only what is dead: it ends the client, with what it has not sent yet.
        drive.mount(str(MOUNTED_DRIVE), force_remount=state == "dead")
    except KeyboardInterrupt:
        raise
    except Exception as error:  # Colab's own: MessageError, ValueError, pexpect.TIMEOUT, which has no common base
        raise NotConnected(f"Drive was not mounted: {_reason(error)}; {OFFERS}") from error
    if _mount_state() != "alive":
        raise NotConnected(f"Drive was mounted and shows no {MY_DRIVE}; {OFFERS}")


def log_in() -> None:
    """Logs in to Drive's API: with the login that is there, or by asking. Raises NotConnected."""
    from colab_rl.storage.drive.login import credentials

    try:
        credentials()
        return
    except StorageError:
        pass
    from google.colab import auth

    try:
        auth.authenticate_user()
        credentials()
    except KeyboardInterrupt:
        raise
    except Exception as error:  # as above
        raise NotConnected(f"nobody logged in to Drive: {_reason(error)}; {OFFERS}") from error


@checked
def finish(run: str, store: str = "", when_done: str = KEEP, root: str | os.PathLike | None = None) -> None:
    """Copies everything of a run to its store and waits for it. Then unmounts Drive, and gives the machine back.

    when_done: KEEP, UNMOUNT or GIVE_BACK. The machine is given back only if all is verified.
    Raises ColabRLError if something cannot be brought; nothing is unmounted or given back then.
    """
    if when_done not in ENDS:
        raise UsageError(f"when done is {' or '.join(ENDS)}, not {when_done!r}")
    place = store or None
    if Places(root, place).store is None:
        say("there is no store: the run is on this machine only, so the machine is kept")
        return
    result = push(run, root=root, store=place)
    print(result.summary())
    if when_done == KEEP or not on_colab():
        return
    if _mount_state() == "alive":
        from google.colab import drive

        say("unmounting Drive, which first uploads what it still holds; this may take minutes")
        drive.flush_and_unmount()
    if when_done == GIVE_BACK:
        if result.state != "verified":
            raise ColabRLError("Drive itself was not asked whether it has everything, since nobody is logged in: "
                               "the machine is kept; look at drive.google.com, then give it back by hand")
        from google.colab import runtime

        runtime.unassign()


def _mount_state() -> str:
    """`alive`, `absent`, or `dead`: there, and nothing in it answers (errno 107, errno 5)."""
    try:
        os.stat(MOUNTED_DRIVE / MY_DRIVE)
        return "alive"
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "dead"


def _reason(error: Any) -> str:
    text = " ".join(str(error).split())[:200]
    return {"MessageError": "the request was declined", "TIMEOUT": "it took too long"}.get(
        type(error).__name__, text or type(error).__name__)
