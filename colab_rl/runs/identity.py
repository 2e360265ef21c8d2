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
import json
import re
from dataclasses import dataclass
from typing import Any

from colab_rl.algorithms.registry import OURS, make_config
from colab_rl.checkpoints import NewerFormat
from colab_rl.checkpoints.manifest import checksum
from colab_rl.environments import EnvironmentSource
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.settings import Config
from colab_rl.storage import FolderStorage, NotFound, Storage

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
            if identity.algorithm in OURS:  # one of a person's own may not be registered yet
                identity.make_config()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise DamagedIdentity(f"{place} has a damaged run.json ({error}); nothing was changed") from error
        return identity


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


