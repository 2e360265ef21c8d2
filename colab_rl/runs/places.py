"""Where runs lie: on this machine, and in the store beyond it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from colab_rl.checkpoints import Tier
from colab_rl.checkpoints.layout import RUN_JSON, SESSIONS
from colab_rl.errors import ColabRLError, StorageError, UsageError, nearest
from colab_rl.runs.identity import (
    PLAN_JSON,
    RUN_NAME,
    SWEEPS,
    TENSORBOARD,
    DamagedIdentity,
    Identity,
    check_run_name,
)
from colab_rl.storage import FolderStorage, NotFound, Stat, Storage, absolute_path, open_store, retry_until

Location = str | os.PathLike | None


def store_name(store: str | os.PathLike | None = None) -> str:
    """What a person calls the store: what is given, else `$COLAB_RL_STORE`; empty if nobody said."""
    return os.fspath(store or os.environ.get("COLAB_RL_STORE", ""))


class Places:
    """Where this machine's runs are, and the store beyond it.

    root: `$COLAB_RL_ROOT` if not given, else `runs`.
    store: a name that `open_store` takes; `$COLAB_RL_STORE` if not given, else what is opened without a name.
    options: what a command needs to find them again, such as ` --root /tmp/runs`.
    make_store: makes the store's folder if it is missing and the one above it is there.
    Raises UsageError or StorageError if the store is not there, or is the root itself.
    """

    def __init__(self, root: str | os.PathLike | None = None, store: str | os.PathLike | None = None,
                 make_store: bool = False):
        self.options = "".join(f" --{name} {shlex.quote(os.fspath(given))}"
                               for name, given in (("root", root), ("store", store)) if given)
        self.root = absolute_path(root or os.environ.get("COLAB_RL_ROOT") or "runs", "root")
        self.store = open_store(store_name(store), make_store)
        if isinstance(self.store, FolderStorage) and os.path.realpath(self.store.root) == os.path.realpath(self.root):
            raise UsageError(f"the store {self.store.place} is the folder of the runs itself; a copy there would be no "
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
            found |= runs_in(storage).keys()
        return sorted(found)

    def find(self, name: str) -> Identity | None:
        """A run's identity, from here or the store; None if neither has it.

        Its name is that of its folder: one that was copied or renamed is a run of its own, not a way to the first.
        Raises ColabRLError if a folder of that name is no run, or if the two tiers hold different runs.
        """
        check_run_name(name)
        storages = [storage for storage in (self.local(name), self.remote(name)) if storage]

        def look() -> Copies:
            return read_copies((storage.place, functools.partial(storage.get, RUN_JSON)) for storage in storages)

        copies = look() if all(storage.consistent for storage in storages) else retry_until(look)
        if copies:
            return copies.agreed(name)
        for storage in storages:
            if _holds_something(storage):
                raise ColabRLError(f"{storage.place} is not a run: it has no run.json; nothing was changed; "
                                   "choose another name, or move it away")
        return None

    def has_sweep(self, name: str) -> bool:
        """Whether a sweep of that name is here, or in the store if that can be read."""
        for storage in filter(None, (self.local(f"{SWEEPS}/{name}"), self.remote(f"{SWEEPS}/{name}"))):
            with contextlib.suppress(StorageError):
                storage.get(PLAN_JSON)
                return True
        return False

    def sweeps(self) -> list[str]:
        """Every sweep, here and in the store if that can be read."""
        found: set[str] = set()
        for storage in filter(None, (self.local(SWEEPS), self.remote(SWEEPS))):
            with contextlib.suppress(StorageError):
                found |= {*storage.folders()}
        return sorted(filter(self.has_sweep, found))

    def require(self, name: str) -> Identity:
        """A run's identity. Raises UsageError if there is none: it names the nearest runs, or those of a sweep."""
        identity = self.find(name)
        if identity is None:
            names = self.names()
            if self.has_sweep(name):
                raise UsageError(f"{name} is a sweep{_span(runs_among(names, name))}")
            where = f"{self.root}" + (f" or {self.store.place}" if self.store else "")
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            listed = f" (available: {', '.join(names[:10])}{more})" if names else ""
            raise UsageError(f"no run {name!r} in {where}{nearest(name, names)}{listed}")
        return identity

    def tiers(self, identity: Identity) -> tuple[Tier, Tier | None]:
        """The run's checkpoints on this machine, and in the store."""
        remote = self.remote(identity.name)
        return (Tier(self.local(identity.name), identity.run_id),
                Tier(remote, identity.run_id) if remote else None)


def runs_among(names: Iterable[str], sweep: str) -> list[str]:
    """The runs that a sweep trains among these, by trial and seed."""
    found = filter(None, (re.fullmatch(rf"{re.escape(sweep)}-t(\d+)-s(\d+)", name) for name in names))
    return [match[0] for match in sorted(found, key=lambda match: (int(match[1]), int(match[2])))]


def _span(runs: list[str]) -> str:
    """Which runs a sweep has trained, as the end of a line."""
    if not runs:
        return " that has no runs yet"
    return f"; its run is {runs[0]}" if len(runs) == 1 else f"; its runs are {runs[0]} to {runs[-1]}: give one of them"


def runs_in(storage: Storage) -> dict[str, dict[str, Stat]]:
    """The runs in a storage by name, with the files that lie directly in the folder of each."""
    found: dict[str, dict[str, Stat]] = {}
    for path, stat in storage.list_files(name for name in storage.folders() if RUN_NAME.fullmatch(name)).items():
        name, _, file = path.partition("/")
        found.setdefault(name, {})[file] = stat
    return {name: files for name, files in found.items() if RUN_JSON in files}


class Copies(NamedTuple):
    """What the copies of a run.json say, each with its place. False if there is none."""

    found: list[tuple[str, Identity]]
    damaged: list[DamagedIdentity]

    def __bool__(self) -> bool:
        return bool(self.found or self.damaged)

    def agreed(self, name: str) -> Identity | None:
        """The run's identity, under the name of its folder. Raises ColabRLError if two runs have that name, or if
        every copy is damaged.
        """
        if len({identity.run_id for _, identity in self.found}) == 2:
            raise ColabRLError(f"{' and '.join(place for place, _ in self.found)} hold two different runs of the same "
                               "name; nothing was changed; choose another name, or move one of them")
        if self.damaged and not self.found:
            raise self.damaged[0]
        return dataclasses.replace(self.found[0][1], name=name) if self.found else None


def read_copies(copies: Iterable[tuple[str, Callable[[], bytes]]]) -> Copies:
    """Reads the copies of a run.json. Each is its place, and what gets it or raises NotFound.

    Raises StorageError if the first one cannot be read: the thread that fills the store tells its trouble.
    """
    found = Copies([], [])
    for place, get in copies:
        try:
            found.found.append((place, Identity.from_bytes(get(), place)))
        except NotFound:
            continue
        except DamagedIdentity as error:
            found.damaged.append(error)
        except StorageError:
            if not found.found:
                raise
    return found


def _holds_something(storage: Storage) -> bool:
    """Whether somebody's files lie there. Empty folders and a session's claim are what a run leaves whose first
    file never arrived.
    """
    if isinstance(storage, FolderStorage) and storage.root.is_file():
        return True
    return any(not name.startswith((".", SESSIONS)) for name in storage.list(""))
