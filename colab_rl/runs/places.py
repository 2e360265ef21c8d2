"""Where runs lie: on this machine, and in the store beyond it."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import NamedTuple

from colab_rl.checkpoints import Tier
from colab_rl.checkpoints.layout import RUN_JSON, SESSIONS
from colab_rl.errors import ColabRLError, StorageError, UsageError, nearest
from colab_rl.runs.identity import (
    RUN_NAME,
    TENSORBOARD,
    DamagedIdentity,
    Identity,
    check_run_name,
)
from colab_rl.storage import FolderStorage, NotFound, Storage, absolute_path, open_store, retry_until

Location = str | os.PathLike | None


def store_name(store: str | os.PathLike | None = None) -> str:
    """What a person calls the store: what is given, else `$COLAB_RL_STORE`; empty where nobody said."""
    return os.fspath(store or os.environ.get("COLAB_RL_STORE", ""))


class Places:
    """Where this machine's runs are, and the store beyond it.

    root: `$COLAB_RL_ROOT` if not given, else `runs`.
    store: a name that `open_store` takes; `$COLAB_RL_STORE` if not given, else what is opened without a name.
    make_store: makes the store's folder if it is missing and the one above it is there.
    Raises UsageError or StorageError if the store is not there, or is the root itself.
    """

    def __init__(self, root: str | os.PathLike | None = None, store: str | os.PathLike | None = None,
                 make_store: bool = False):
        self.root = absolute_path(root or os.environ.get("COLAB_RL_ROOT") or "runs", "root")
        self.store = open_store(store_name(store), make_store)
        if isinstance(self.store, FolderStorage) and os.path.realpath(self.store.root) == os.path.realpath(self.root):
            raise UsageError(f"the store {self.store.place} is the folder of the runs itself, where a copy would be no "
                             "second one; nothing was changed; choose another folder, or --store none")

    def local(self, name: str) -> FolderStorage:
        """This machine's folder of a run."""
        return FolderStorage(self.root / name)

    def remote(self, name: str) -> Storage | None:
        """The store's folder of a run, None without a store."""
        return self.store.subfolder(name) if self.store else None

    def tensorboard(self, name: str) -> Path:
        """The local folder of a run's event files."""
        return self.root / TENSORBOARD / name

    def names(self) -> list[str]:
        """Every run, here and in the store."""
        found: set[str] = set()
        for storage in filter(None, (FolderStorage(self.root), self.store)):
            names = [f"{name}/{RUN_JSON}" for name in storage.folders() if RUN_NAME.fullmatch(name)]
            found |= {name.removesuffix(f"/{RUN_JSON}") for name in storage.stats(names)}
        return sorted(found)

    def find(self, name: str) -> Identity | None:
        """A run's identity, from here or the store; None where neither has it.

        Its name is that of its folder: one that was copied or renamed is a run of its own, not a way to the first.
        Raises ColabRLError where a folder of that name is no run, or where the two tiers hold different runs.
        """
        check_run_name(name)
        storages = [storage for storage in (self.local(name), self.remote(name)) if storage]
        consistent = all(storage.consistent for storage in storages)
        found, damaged = _identities(storages) if consistent else retry_until(lambda: _identities(storages))
        if len({identity.run_id for identity in found}) == 2:
            raise ColabRLError(f"{storages[0].place} and {storages[1].place} hold two different runs of the same "
                               "name; nothing was changed; choose another name, or move one of them")
        if found:
            return dataclasses.replace(found[0], name=name)
        if damaged:
            raise damaged[0]
        for storage in storages:
            if _holds_something(storage):
                raise ColabRLError(f"{storage.place} is not a run: it has no run.json; nothing was changed; "
                                   "choose another name, or move it away")
        return None

    def require(self, name: str) -> Identity:
        """A run's identity. Raises UsageError that names the nearest runs where there is none."""
        identity = self.find(name)
        if identity is None:
            names = self.names()
            where = f"{self.root}" + (f" or {self.store.place}" if self.store else "")
            listed = f" (there is: {', '.join(names[:10])})" if names else ""
            raise UsageError(f"no run {name!r} in {where}{nearest(name, names)}{listed}")
        return identity

    def tiers(self, identity: Identity) -> tuple[Tier, Tier | None]:
        """The run's checkpoints on this machine, and in the store."""
        remote = self.remote(identity.name)
        return (Tier(self.local(identity.name), identity.run_id),
                Tier(remote, identity.run_id) if remote else None)


class _Looked(NamedTuple):
    """What storages hold of a run's identity, and what is wrong with one that is damaged; false where nothing is."""

    found: list[Identity]
    damaged: list[DamagedIdentity]

    def __bool__(self) -> bool:
        return bool(self.found or self.damaged)


def _identities(storages: list[Storage]) -> _Looked:
    looked = _Looked([], [])
    for storage in storages:
        try:
            looked.found.append(Identity.from_bytes(storage.get(RUN_JSON), storage.place))
        except NotFound:
            continue
        except DamagedIdentity as error:
            looked.damaged.append(error)
        except StorageError:  # of the store: the replicator says so; of this machine: nothing can be done
            if not looked.found:
                raise
    return looked


def _holds_something(storage: Storage) -> bool:
    """Whether somebody's files lie there. Empty folders and a session's claim are what a run leaves whose first
    file never arrived.
    """
    if isinstance(storage, FolderStorage) and storage.root.is_file():
        return True
    return any(not name.startswith((".", SESSIONS)) for name in storage.list(""))
