"""What a person asks of a run, held against what there is: begin, continue, extend, or branch off."""

from __future__ import annotations

import dataclasses
import datetime
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from colab_rl.algorithms.registry import algorithm_class, make_config, preset
from colab_rl.checkpoints.recovery import Checkpoint, check_segments, newest_whole, of_generation
from colab_rl.environments import EnvironmentSource, describe, environment_name
from colab_rl.environments.backends import check_backend, choose_backend, why_not
from colab_rl.environments.make import check_known_elsewhere
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.machine import THREADS, check_device, choose_device, versions
from colab_rl.progress import say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places
from colab_rl.settings import Config, to_json

DEFAULT_ENVIRONMENT = "BipedalWalker-v3"


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of `train`; None is what a person did not say.

    origin: `OTHER` or `OTHER:GENERATION`, the checkpoint that a new run begins from.
    settings: fields of the config, total_steps and seed among them.
    """

    run: str
    env: EnvironmentSource | None = None
    algo: str | None = None
    backend: str = "auto"
    device: str = "auto"
    origin: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_backend(self.backend)
        check_device(self.device)
        if self.algo is not None:
            algorithm_class(self.algo)

    @property
    def env_id(self) -> str | None:
        """The environment's name."""
        return None if self.env is None else environment_name(self.env)

    def agree(self, identity: Identity) -> int:
        """The total_steps to train a run that exists to. Raises UsageError that names every contradiction."""
        is_, asked = identity.make_config(), make_config(identity.algorithm, {**identity.config, **self.settings})
        pairs = [("env", identity.env_id, self.env_id or identity.env_id),
                 ("algo", identity.algorithm, self.algo or identity.algorithm),
                 ("device", identity.device, identity.device if self.device == "auto" else self.device)]
        pairs += [(name, getattr(is_, name), getattr(asked, name)) for name in self.settings if name != "total_steps"]
        if self.backend not in ("auto", "gymnasium"):  # gymnasium may stand in for a backend that is missing here
            pairs.append(("backend", identity.backend, self.backend))
        if self.origin is not None:
            began = identity.source
            have = f"{began['run']}:{began['generation']}" if began else "nothing"
            name, generation = parse_origin(self.origin)
            same = began and name == began["run"] and generation in (None, began["generation"])
            pairs.append(("from", have, have if same else self.origin))
        contradictions = [f"{name} is {have}, not {want}" for name, have, want in pairs if have != want]
        if "total_steps" in self.settings and asked.total_steps < is_.total_steps:
            contradictions.append(f"total_steps is {is_.total_steps} and can only grow, not {asked.total_steps}")
        if contradictions:
            raise UsageError(f"run {identity.name} exists and differs: {'; '.join(contradictions)}; nothing was "
                             "changed; leave the options out to continue it, or give a new name")
        return asked.total_steps

    def backend_of(self, identity: Identity, env: EnvironmentSource, spaces: Spaces) -> str:
        """Who steps a run's environments on this machine: its own backend, or gymnasium where that is asked for
        and its own is missing here. Raises UsageError or ColabRLError, and changes nothing, otherwise.
        """
        missing = why_not(identity.backend, env, spaces)
        if missing and self.backend != "gymnasium":
            raise ColabRLError(f"{identity.name} trains on EnvPool, and here {missing}; nothing was changed; "
                               "go on with --backend gymnasium, which is not bit-exact")
        if self.backend == "gymnasium" != identity.backend and not missing:
            raise UsageError(f"run {identity.name} exists and differs: backend is {identity.backend}, not gymnasium; "
                             "nothing was changed; leave the option out to continue it, or give a new name")
        return "gymnasium" if missing else identity.backend

    def begin(self) -> Identity:
        """A new run from the preset and the settings."""
        env: EnvironmentSource = DEFAULT_ENVIRONMENT if self.env is None else self.env
        algorithm = self.algo or "ppo"
        config = make_config(algorithm, {**preset(environment_name(env), algorithm), **self.settings})
        return self._identity(env, algorithm, config, describe(env), self.backend, None)

    def branch(self, origin: str, places: Places) -> Identity:
        """A new run from another's checkpoint."""
        other, checkpoint = checkpoint_of(origin, places)
        if self.env_id not in (None, other.env_id):
            raise UsageError(f"{other.name} trains on {other.env_id}, not {self.env_id}")
        if self.algo not in (None, other.algorithm):
            raise UsageError(f"{other.name} was trained by {other.algorithm}, not {self.algo}")
        config = make_config(other.algorithm, {**other.config, **self.settings})
        for name in (one.name for one in dataclasses.fields(config) if one.metadata["shapes_state"]):
            if name in other.config and to_json(config)[name] != other.config[name]:
                raise UsageError(f"a run from {other.name}'s checkpoint keeps its {name} ({other.config[name]})")
        manifest = checkpoint.manifest
        if config.total_steps <= manifest.step:
            raise UsageError(f"{origin} has taken {manifest.step:,} steps already: give a larger --total-steps")
        began = {"run": other.name, "run_id": other.run_id, "generation": manifest.generation,
                 "state_sha256": manifest.state_sha256}
        env = other.environment(self.env, "train")
        spaces = describe(env)
        if not spaces.same_as(other.spaces):
            raise UsageError(f"{other.env_id} has other spaces than when {other.name} was begun, and a run from its "
                             "checkpoint keeps them; nothing was changed")
        backend = self.backend
        if backend == "auto" and not why_not(other.backend, env, spaces):
            backend = other.backend
        return self._identity(env, other.algorithm, config, spaces, backend, began)

    def _identity(self, env: EnvironmentSource, algorithm: str, config: Config, spaces: Spaces, backend: str,
                  began: dict[str, Any] | None) -> Identity:
        device, threads = choose_device(self.device), THREADS
        backend = choose_backend(backend, env, spaces)
        if backend == "gymnasium":
            check_known_elsewhere(env)
        return Identity(
            name=self.run, run_id=uuid.uuid4().hex,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            env_id=environment_name(env), algorithm=algorithm, backend=backend, device=device, threads=threads,
            config=to_json(config), spaces=spaces.to_json(), versions=versions(device, threads, backend),
            source=began)


def parse_origin(origin: str) -> tuple[str, int | None]:
    """The run and the generation, None for its newest, that `OTHER` or `OTHER:GENERATION` names."""
    name, colon, generation = origin.partition(":")
    if colon and not re.fullmatch("[0-9]+", generation):
        raise UsageError(f"--from takes RUN or RUN:GENERATION, not {origin!r}")
    return name, int(generation) if colon else None


def checkpoint_of(origin: str, places: Places) -> tuple[Identity, Checkpoint]:
    """The run and the checkpoint that `OTHER` (its newest) or `OTHER:GENERATION` names."""
    name, generation = parse_origin(origin)
    identity = places.require(name)
    local, remote = places.tiers(identity)
    if generation is not None:
        checkpoint = of_generation(local, remote, generation)
        check_segments(checkpoint.manifest, local, remote)
        return identity, checkpoint
    newest = newest_whole(local, remote, say, check=lambda manifest: check_segments(manifest, local, remote))
    if newest is None:
        raise ColabRLError(f"{name} has no checkpoint yet")
    return identity, newest
