"""Runs: their names, their identity (run.json), and where they lie.

    root/walker/                this machine
    store/walker/               beyond it, the same layout
      run.json                  identity and config; written once
      checkpoints/  metrics/    each checkpoint's files; manifests are written last
    root/tensorboard/walker/    a view, rebuilt at will
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from colab_rl.checkpoints import NewerFormat, Tier
from colab_rl.checkpoints.manifest import checksum
from colab_rl.environments import EnvironmentSource
from colab_rl.errors import ColabRLError, StorageError, UsageError, nearest
from colab_rl.progress import say
from colab_rl.settings import Config, make_config
from colab_rl.storage import FolderStorage, NotFound, Storage, expanded, looked_again, open_store

FORMAT = 1
TENSORBOARD = "tensorboard"
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class DamagedIdentity(ColabRLError):
    """A run.json that is not whole."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What run.json says of a run: what it is, and what the machine that began it chose.

    name: of its folder; in run.json, the one that it was begun under.
    source: the checkpoint it began from, `{"run", "run_id", "generation", "state_sha256"}`, or None.
    """

    name: str
    run_id: str
    created: str
    env_id: str
    algorithm: str
    backend: str
    device: str
    threads: int
    config: dict[str, Any]
    spaces: dict[str, Any]
    versions: dict[str, str]
    source: dict[str, Any] | None = None

    def make_config(self) -> Config:
        """The run's settings."""
        return make_config(self.algorithm, self.config)

    def environment(self, given: EnvironmentSource | None, call: str) -> EnvironmentSource:
        """What makes the run's environment: its id, or the function, which has to be given each time.

        call: the function of ours that wants it. Raises UsageError where it is not given.
        """
        if given is not None:
            return given
        if self.env_id.startswith("custom:"):
            raise UsageError(f"{self.name} trains on {self.env_id.removeprefix('custom:')}, a function: give it from "
                             f"Python with {call}(..., env=that function)")
        return self.env_id

    def to_bytes(self) -> bytes:
        """The content of run.json."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        return json.dumps({**content, "identity_sha256": checksum(content)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Identity:
        """Reads run.json. Raises DamagedIdentity where it is none, NewerFormat where it is too new."""
        try:
            content = json.loads(data)
            digest = content.pop("identity_sha256")
            if checksum(content) != digest:
                raise ValueError("other content than was saved")
            version = content.pop("format")
            if isinstance(version, int) and version > FORMAT:
                raise NewerFormat(f"{place} was written by a newer colab_rl; nothing was changed; "
                                  "install the newer version")
            identity = cls(**content)
            identity.make_config()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise DamagedIdentity(f"{place} has a damaged run.json ({error}); nothing was changed") from error
        return identity


def store_name(store: str | os.PathLike | None = None) -> str:
    """What a person calls the store: what is given, else `$COLAB_RL_STORE`; empty where nobody said."""
    return os.fspath(store or os.environ.get("COLAB_RL_STORE", ""))


class Places:
    """Where this machine's runs are, and the store beyond it.

    root: `$COLAB_RL_ROOT` or `runs` where not given.
    store: a folder's path, `drive:FOLDER` or `none`; `$COLAB_RL_STORE` where not given, else on
        Colab the mounted Drive's `colab_rl` folder, else none.
    make_store: makes the store's folder where it is missing and the one above it is there.
    Raises UsageError or StorageError where the store is not there, or is the root itself.
    """

    def __init__(self, root: str | os.PathLike | None = None, store: str | os.PathLike | None = None,
                 make_store: bool = False):
        self.root = expanded(root or os.environ.get("COLAB_RL_ROOT") or "runs", "root")
        self.store = open_store(store_name(store), make_store)
        if isinstance(self.store, FolderStorage) and os.path.realpath(self.store.root) == os.path.realpath(self.root):
            raise UsageError(f"the store {self.store.place} is the folder of the runs itself, where a copy would be no "
                             "second one; nothing was changed; choose another folder, or --store none")

    def local(self, name: str) -> FolderStorage:
        """This machine's folder of a run."""
        return FolderStorage(self.root / name)

    def remote(self, name: str) -> Storage | None:
        """The store's folder of a run, None without a store."""
        return self.store.at(name) if self.store else None

    def tensorboard(self, name: str) -> Path:
        """The local folder of a run's event files."""
        return self.root / TENSORBOARD / name

    def names(self) -> list[str]:
        """Every run, here and in the store."""
        found: set[str] = set()
        for storage in filter(None, (FolderStorage(self.root), self.store)):
            names = [name for name in storage.folders() if RUN_NAME.fullmatch(name)]
            found |= {name.removesuffix("/run.json") for name in storage.stats(f"{name}/run.json" for name in names)}
        return sorted(found)

    def find(self, name: str) -> Identity | None:
        """A run's identity, from here or the store; None where neither has it.

        Its name is that of its folder: one that was copied or renamed is a run of its own, not a way to the first.
        Raises ColabRLError where a folder of that name is no run, or where the two tiers hold different runs.
        """
        check_run_name(name)
        storages = [storage for storage in (self.local(name), self.remote(name)) if storage]
        consistent = all(storage.consistent for storage in storages)
        found, damaged = _identities(storages) if consistent else looked_again(lambda: _identities(storages))
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
            looked.found.append(Identity.from_bytes(storage.get("run.json"), storage.place))
        except NotFound:
            continue
        except DamagedIdentity as error:
            looked.damaged.append(error)
        except StorageError:  # of the store: the replicator says so; of this machine: nothing can be done
            if not looked.found:
                raise
    return looked


def write_identity(identity: Identity, local: FolderStorage, remote: Storage | None) -> bytes:
    """Makes this machine hold the run's run.json, byte for byte as it was first written; returns it.

    Raises ColabRLError where another session has begun a run of that name meanwhile.
    """
    with contextlib.suppress(NotFound, DamagedIdentity):
        if Identity.from_bytes(local.get("run.json"), local.place).run_id != identity.run_id:
            raise ColabRLError(f"another session has just begun {identity.name}; nothing was changed; "
                               "the same command continues it")
    for storage in filter(None, (local, remote)):
        with contextlib.suppress(StorageError, DamagedIdentity):
            data = storage.get("run.json")
            if Identity.from_bytes(data, storage.place).run_id == identity.run_id:
                break
    else:
        data = identity.to_bytes()
    if "run.json" not in local.list("") or local.get("run.json") != data:
        local.set_aside("run.json")
        local.put("run.json", data)
    return data


def check_run_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a run's folder everywhere."""
    if not RUN_NAME.fullmatch(name) or name == TENSORBOARD:
        raise UsageError(f"{name!r} cannot name a run: letters, digits, '-', '_' and '.', a letter or digit first")


@contextlib.contextmanager
def locked(storage: FolderStorage) -> Iterator[None]:
    """Holds a run on this machine, so that two sessions do not write one folder; the kernel frees it on kill -9.

    Raises StorageError where the folder cannot be written, ColabRLError where another session has it. On a disk
    without locks a person is told to see to it.
    """
    try:
        storage.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(storage.root / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StorageError(f"{storage.root} cannot be written: {error.strerror}; nothing was changed; "
                           "choose another folder with --root") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ColabRLError(f"another session on this machine is training {storage.root.name}; "
                               "nothing was changed; stop that one first") from None
        except OSError as error:  # some mounts have no locks
            say(f"{storage.root} cannot be locked ({error.strerror}): train it in one session at a time")
        yield
    finally:
        os.close(descriptor)


def _holds_something(storage: Storage) -> bool:
    """Whether somebody's files lie there. Empty folders and a session's claim are what a run leaves whose first
    file never arrived.
    """
    if isinstance(storage, FolderStorage) and storage.root.is_file():
        return True
    return any(not name.startswith((".", "sessions/")) for name in storage.list(""))
