"""Runs: their names, their identity (run.json), and their folders.

    root/walker/                this machine
    store/walker/               beyond it, the same layout
      run.json                  identity and config; written once
      checkpoints/  metrics/    each checkpoint's files; manifests are written last
    root/tensorboard/walker/    a view, rebuilt at will
    root/sweeps/                plans and journals of sweeps; in the store too
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from colab_rl.algorithms.registry import OUR_ALGORITHMS, make_config
from colab_rl.checkpoints.layout import RUN_JSON
from colab_rl.environments.make import EnvironmentSource, configured, named_source
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.sealed import sealed, unsealed
from colab_rl.settings import Config, keyword_text
from colab_rl.storage import FolderStorage, NotFound, Storage

FORMAT = 2  # 1, of version 0.1.0, had no env_is_function
TENSORBOARD, SWEEPS = "tensorboard", "sweeps"
OWN_FOLDERS = (TENSORBOARD, SWEEPS)  # no run can have these names
PLAN_JSON = "plan.json"  # of each sweep
# What follows `custom:` in the name of a function. An id such as `custom:Ant-v4` has a hyphen.
QUALIFIED_NAME = re.compile(r"custom:(\w+|<\w+>)(\.(\w+|<\w+>))*")
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class DamagedIdentity(ColabRLError):
    """A run.json that is not whole."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What run.json says of a run: what it is, and what the machine that began it chose.

    name: of its folder; in run.json, the one that it was begun under.
    origin: another run's checkpoint that it started from, `{"run", "run_id", "generation", "state_sha256"}`; or a
        sweep's best trial with whose settings it began, `{"sweep", "trial"}`; or None.
    env_is_function: whether env_id is the name of a function; None if version 0.1.0 began the run.
    env_kwargs: the keyword arguments that gymnasium.make, or the function, is given.
    env_path: the `module:function` by which another process can import the function.
    env_title: what people call the environment that a function makes.
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
    origin: dict[str, Any] | None = None
    env_is_function: bool | None = None
    env_kwargs: dict[str, Any] = field(default_factory=dict)
    env_path: str | None = None
    env_title: str | None = None

    def make_config(self) -> Config:
        """The run's settings."""
        return make_config(self.algorithm, self.config)

    @property
    def trains_on_function(self) -> bool:
        """Whether a function makes its environment. Version 0.1.0 told that by the name alone."""
        if self.env_is_function is None:
            return QUALIFIED_NAME.fullmatch(self.env_id) is not None
        return self.env_is_function

    @property
    def title(self) -> str:
        """What people call its environment: the id, or the name of the function, or of what a lambda makes."""
        name = self.env_id.removeprefix("custom:").rpartition(".")[2] if self.trains_on_function else self.env_id
        return (self.env_title or "a function") if name == "<lambda>" else name

    @property
    def environment_words(self) -> str:
        """Its environment and the keyword arguments that it is given, such as `Hopper-v5 frame_skip=2`."""
        return " ".join([self.env_id, *(f"{name}={keyword_text(value)}" for name, value in self.env_kwargs.items())])

    def environment(self, given: EnvironmentSource | None, call: str) -> EnvironmentSource:
        """What makes the run's environment: its id, or the function, which has to be given each time: nothing that a
        file names is called. With its keyword arguments and wrappers.

        call: the function of ours that wants it. Raises UsageError if it is not given, and for the id of another
        environment if the run trains on an id.
        """
        if given is None and self.trains_on_function:
            path = f"give it with --env {self.env_path}, or" if self.env_path else "give it"
            raise UsageError(f"{self.name} trains on {self.title}, a function: {path} from Python with {call}(..., "
                             "env=that function)")
        source = self.env_id if given is None else named_source(given) if isinstance(given, str) else given
        if isinstance(source, str) and source != self.env_id and not self.trains_on_function:
            raise UsageError(f"{self.name} trains on {self.env_id}, not {source}; nothing was changed; leave the "
                             "environment (--env) out")
        return configured(source, self.env_kwargs, self.config.get("wrappers", ()))

    def check_spaces(self, spaces: Spaces) -> None:
        """Raises UsageError if these are not the spaces that the run was begun with."""
        if not spaces.same_as(self.spaces):
            raise UsageError(f"{self.env_id} has other spaces than when {self.name} was begun; nothing was changed")

    def to_bytes(self) -> bytes:
        """The content of run.json."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        return sealed(content, "identity")

    @classmethod
    def from_bytes(cls, data: bytes, place: str) -> Identity:
        """Reads run.json. Raises DamagedIdentity if it is none, NewerFormat if it is too new."""
        try:
            content = unsealed(data, "identity", FORMAT, place)
            del content["format"]
            content.setdefault("origin", content.pop("source", None))  # as 0.1.0 calls it
            identity = cls(**content)
            if identity.algorithm in OUR_ALGORITHMS:  # the user's own may not be registered yet
                identity.make_config()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise DamagedIdentity(f"{place} has a damaged run.json ({error}); nothing was changed") from error
        return identity


def write_identity(identity: Identity, local: FolderStorage, remote: Storage | None) -> bytes:
    """Makes this machine hold the run's run.json, byte for byte as it was first written; returns it.

    Raises ColabRLError if another session has begun a run of that name meanwhile.
    """
    with contextlib.suppress(NotFound, DamagedIdentity):
        if Identity.from_bytes(local.get(RUN_JSON), local.place).run_id != identity.run_id:
            raise ColabRLError(f"another session has just begun {identity.name}; nothing was changed; "
                               "the same command continues it")
    for storage in filter(None, (local, remote)):
        with contextlib.suppress(StorageError, DamagedIdentity):
            data = storage.get(RUN_JSON)
            if Identity.from_bytes(data, storage.place).run_id == identity.run_id:
                break
    else:
        data = identity.to_bytes()
    with contextlib.suppress(NotFound):
        if local.get(RUN_JSON) == data:
            return data
    local.set_aside(RUN_JSON)
    local.put(RUN_JSON, data)
    return data


class DerivedName(str):
    """A run's name that colab_rl made: nobody typed it, so nobody mistyped it."""

    __slots__ = ()


def check_run_name(name: str) -> None:
    """Raises UsageError for what cannot be the name of a run's folder everywhere."""
    if name in OWN_FOLDERS:
        raise UsageError(f"{name!r} cannot name a run: colab_rl keeps its own files in a folder of that name; choose "
                         "another name")
    if not RUN_NAME.fullmatch(name):
        run, colon, which = str(name).partition(":")
        hint = (f"; for checkpoint {which} of {run}, evaluate, render and export take --checkpoint {which}, and a new "
                f"run takes --from {name}") if colon and RUN_NAME.fullmatch(run) else ""
        raise UsageError(f"{name!r} cannot name a run: at most 100 letters, digits, '-', '_' and '.', a letter or "
                         f"digit first{hint}")
