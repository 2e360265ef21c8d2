"""What a person asks of a run, compared with the saved run: begin, continue, extend, or branch off."""

from __future__ import annotations

import dataclasses
import datetime
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium

from colab_rl.algorithms.own import own_code_guarded
from colab_rl.algorithms.registry import algorithm_class, default_algorithm, make_config, preset
from colab_rl.arithmetic import THREADS
from colab_rl.checkpoints.recovery import Checkpoint, check_segments, newest_whole
from colab_rl.environments import EnvironmentSource, describe, environment_name
from colab_rl.environments.backends import check_backend, choose_backend, reason_not_available
from colab_rl.environments.make import bare, configured, environment_title, kept_keywords, keywords_of
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.trial import try_new
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.machine import check_device, choose_device, versions
from colab_rl.networks.registry import own_network
from colab_rl.policies.load import find_checkpoint
from colab_rl.progress import say
from colab_rl.runs.best_settings import BestSettings, best_settings
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places
from colab_rl.settings import Config, to_json
from colab_rl.training.code import ObjectCode, code_of, own_code
from colab_rl.user_code import import_path

DEFAULT_ENVIRONMENT = "BipedalWalker-v3"
LABELS = ("best", "latest")


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of `train`; None is what a person did not say.

    origin: `OTHER` or `OTHER:CHECKPOINT`, the checkpoint of another run that a new run starts from; or a sweep, with
        the settings of whose best trial it begins.
    settings: fields of the config, total_steps and seed among them.
    env_kwargs: keyword arguments for gymnasium.make, or for the function.
    env_code: of `env` if that is a function, as it is before anything calls it.
    """

    run: str
    env: EnvironmentSource | None = None
    algo: str | None = None
    backend: str = "auto"
    device: str = "auto"
    origin: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    env_kwargs: Mapping[str, Any] | None = None
    env_code: ObjectCode | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_code", own_code(self.env) if callable(self.env) else None)
        if self.env_kwargs is not None:
            object.__setattr__(self, "env_kwargs", kept_keywords(self.env_kwargs))
        check_backend(self.backend)
        check_device(self.device)
        if self.algo is not None:
            algorithm_class(self.algo)

    def _other_environment(self, identity: Identity) -> str:
        """The name of the environment that is asked for, if it is another than a run's; else empty."""
        if self.env is None:
            return ""
        name, is_function = environment_name(self.env), callable(self.env)
        if (name, is_function) == (identity.env_id, identity.trains_on_function):
            return ""
        return f"{'the function' if is_function else 'the id'} {name}" if name == identity.env_id else name

    def code(self, algorithm: str, network: str, backend: str, env: EnvironmentSource) -> dict[str, str]:
        """The hashes of the code that trains; `env` has been made."""
        own = {"environment": self.env_code or own_code(env)}
        if make := own_network(network):
            own["network"] = own_code(make)
        return code_of(algorithm_class(algorithm), backend, **own)

    def agree(self, identity: Identity) -> int:
        """The total_steps to train a run that exists to. Raises UsageError that names every contradiction."""
        is_, asked = identity.make_config(), make_config(identity.algorithm, {**identity.config, **self.settings})
        pairs = [("algo", identity.algorithm, self.algo or identity.algorithm),
                 ("device", identity.device, identity.device if self.device == "auto" else self.device)]
        pairs += [(name, getattr(is_, name), getattr(asked, name)) for name in self.settings if name != "total_steps"]
        if self.backend not in ("auto", "gymnasium"):  # gymnasium may stand in for a backend that is missing here
            pairs.append(("backend", identity.backend, self.backend))
        contradictions = [f"{name} is {have}, not {want}" for name, have, want in pairs if have != want]
        if self.env_kwargs is not None and self.env_kwargs != identity.env_kwargs:
            contradictions.insert(0, _other_keywords(identity.env_kwargs, self.env_kwargs))
        if other := self._other_environment(identity):
            contradictions.insert(0, f"env is {identity.env_id}, not {other}")
        if self.origin is not None:
            origin, (name, which) = identity.origin or {}, parse_origin(self.origin)
            # A run keeps its origin, whatever is the best or the latest of the other run, or of the sweep, by now.
            if self.origin != origin.get("sweep") and (
                    name != origin.get("run") or which not in (*LABELS, str(origin["generation"]))):
                have = origin.get("sweep") or ("{run}:{generation}".format(**origin) if origin else "nothing")
                contradictions.append(f"from is {have}, not {self.origin}")
        if "total_steps" in self.settings and asked.total_steps < is_.total_steps:
            contradictions.append(f"total_steps is {is_.total_steps} and can only grow, not {asked.total_steps}")
        if contradictions:
            changed = [name for name in self.settings if name != "total_steps" and getattr(is_, name)
                       != getattr(asked, name) and not is_.__dataclass_fields__[name].metadata["shapes_state"]]
            way = (f"; to continue from it with that: train NEW --from {identity.name} --set "
                   f"{' '.join(f'{name}={to_json(asked)[name]}' for name in changed)}"
                   if len(changed) == len(contradictions) else "")
            raise UsageError(f"run {identity.name} exists and differs: {'; '.join(contradictions)}; nothing was "
                             f"changed; leave the options out to continue it, or give a new name{way}")
        return asked.total_steps

    def backend_of(self, identity: Identity, env: EnvironmentSource, spaces: Spaces) -> str:
        """Who steps a run's environments on this machine: its own backend, or gymnasium if that is asked for
        and its own is missing here. Raises UsageError or ColabRLError, and changes nothing, otherwise.
        """
        missing = reason_not_available(identity.backend, env, spaces)
        if missing and self.backend != "gymnasium":
            raise ColabRLError(f"{identity.name} trains on EnvPool, and here {missing}; nothing was changed; "
                               "continue with --backend gymnasium, which is not bit-exact")
        if self.backend == "gymnasium" != identity.backend and not missing:
            raise UsageError(f"run {identity.name} exists and differs: backend is {identity.backend}, not gymnasium; "
                             "nothing was changed; leave the option out to continue it, or give a new name")
        return "gymnasium" if missing else identity.backend

    def begin(self) -> tuple[Identity, Spaces]:
        """A new run from the preset and the settings, and what its environment looks like."""
        env: EnvironmentSource = DEFAULT_ENVIRONMENT if self.env is None else self.env
        return self._new(env, self.algo or default_algorithm(environment_name(env)), {}, {}, None)

    def branch(self, origin: str, places: Places) -> tuple[Identity, Spaces]:
        """The same from another run's checkpoint, or with the settings of a sweep's best trial."""
        if ":" not in origin and places.find(origin) is None and (best := best_settings(places, origin)):
            return self._begin_with(best)
        other, checkpoint = checkpoint_of(origin, places)
        if asked := self._other_environment(other):
            raise UsageError(f"{other.name} trains on {other.env_id}, not {asked}")
        if self.env_kwargs is not None and self.env_kwargs != other.env_kwargs:
            raise UsageError(f"{other.name} is another environment: "
                             f"{_other_keywords(other.env_kwargs, self.env_kwargs)}")
        if self.algo not in (None, other.algorithm):
            raise UsageError(f"{other.name} was trained by {other.algorithm}, not {self.algo}")
        config = make_config(other.algorithm, {**other.config, **self.settings})
        for name in (one.name for one in dataclasses.fields(config) if one.metadata["shapes_state"]):
            if name in other.config and to_json(config)[name] != other.config[name]:
                raise UsageError(f"a run from {other.name}'s checkpoint keeps its {name} ({other.config[name]})")
        manifest = checkpoint.manifest
        if config.total_steps <= manifest.step:
            raise UsageError(f"{origin} has taken {manifest.step:,} steps already: give a larger --total-steps")
        env = other.environment(self.env, "train")
        spaces, title = _tried_out(env)
        other.check_spaces(spaces)
        backend = self.backend
        if backend == "auto" and not reason_not_available(other.backend, env, spaces):
            backend = other.backend
        return self._identity(env, title, other.algorithm, config, spaces, backend, {
            "run": other.name, "run_id": other.run_id, "generation": manifest.generation,
            "state_sha256": manifest.state_sha256}), spaces

    def _begin_with(self, best: BestSettings) -> tuple[Identity, Spaces]:
        """A new run with a sweep's best settings, and what its environment looks like."""
        asked = environment_name(self.env) if self.env is not None else best.env_id
        if (asked, callable(self.env)) != (best.env_id, best.env_is_function):
            path = f"give it with --env {best.env_path}, or" if best.env_path else "give it"
            given = f", a function: {path} from Python with train(..., env=that function), not {asked}" \
                if best.env_is_function else f", not {asked}"
            raise UsageError(f"{best.sweep} trained on {best.env_id.removeprefix('custom:')}{given}")
        if self.algo not in (None, best.algorithm):
            raise UsageError(f"{best.sweep}'s best trial was trained by {best.algorithm}, not {self.algo}")
        env: EnvironmentSource = best.env_id if self.env is None else self.env
        say(f"{best.sweep}: trial {best.trial} is the best so far, with score {best.score:.1f}")
        return self._new(env, best.algorithm, best.settings, best.env_kwargs,
                         {"sweep": best.sweep, "trial": best.trial})

    def _new(self, env: EnvironmentSource, algorithm: str, settings: Mapping[str, Any], env_kwargs: Mapping[str, Any],
             origin: dict[str, Any] | None) -> tuple[Identity, Spaces]:
        """A new run from the preset, with these settings and keyword arguments, unless others were asked for."""
        config = make_config(algorithm, {**preset(environment_name(env), algorithm), **settings, **self.settings})
        env = configured(env, env_kwargs if self.env_kwargs is None else self.env_kwargs, config.wrappers)
        spaces, title = _tried_out(env)
        return self._identity(env, title, algorithm, config, spaces, self.backend, origin), spaces

    def _identity(self, env: EnvironmentSource, title: str, algorithm: str, config: Config, spaces: Spaces,
                  backend: str, origin: dict[str, Any] | None) -> Identity:
        with own_code_guarded(algorithm, config.network, "; nothing was written"):
            worth_a_gpu = algorithm_class(algorithm).worth_a_gpu(config)
        (device, reasons), threads = choose_device(self.device, worth_a_gpu), THREADS
        for reason in reasons:
            say(reason)
        backend = choose_backend(backend, env, spaces)
        return Identity(
            name=self.run, run_id=uuid.uuid4().hex,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            env_id=environment_name(env), algorithm=algorithm, backend=backend, device=device, threads=threads,
            config=to_json(config), spaces=spaces.to_json(),
            versions={**versions(device, threads, backend), **self.code(algorithm, config.network, backend, env)},
            origin=origin, env_is_function=callable(bare(env)), env_kwargs=keywords_of(env),
            env_path=import_path(bare(env)), env_title=title if callable(bare(env)) else None)


def _tried_out(env: EnvironmentSource) -> tuple[Spaces, str]:
    """The spaces of an environment that was tried out, and what people call it."""
    titles: list[str] = []

    def look(environment: gymnasium.Env, name: str) -> None:
        titles.append(environment_title(environment))
        try_new(environment, name)

    return describe(env, look), titles[0]


def _other_keywords(have: Mapping[str, Any], want: Mapping[str, Any]) -> str:
    """Such as `env_kwargs continuous is True, not False`."""
    texts = [{name: repr(value) for name, value in keywords.items()} for keywords in (have, want)]
    there, asked = ({name: text.get(name, "left out") for name in (*have, *want)} for text in texts)
    return "; ".join(f"env_kwargs {name} is {text}, not {asked[name]}" for name, text in there.items()
                     if text != asked[name])


def parse_origin(origin: str) -> tuple[str, str]:
    """The run, and `best`, `latest` (the default) or a generation, that `OTHER` or `OTHER:CHECKPOINT` names."""
    name, colon, which = origin.partition(":")
    if colon and which not in LABELS and not re.fullmatch("[0-9]+", which):
        raise UsageError(f"--from takes RUN, RUN:GENERATION, RUN:best or RUN:latest, not {origin!r}")
    return name, (which.lstrip("0") or "0") if colon else "latest"


def checkpoint_of(origin: str, places: Places) -> tuple[Identity, Checkpoint]:
    """The run and the checkpoint that `OTHER` (its latest) or `OTHER:CHECKPOINT` names.

    Past experience that belongs to it is there too. If it is missing for the latest, an older checkpoint is taken.
    """
    name, which = parse_origin(origin)
    identity = places.require(name)
    local, remote = places.tiers(identity)
    if which != "latest":
        checkpoint = find_checkpoint(identity, places, which)
        check_segments(checkpoint.manifest, local, remote)
        return identity, checkpoint
    newest = newest_whole(local, remote, say, check=lambda manifest: check_segments(manifest, local, remote))
    if newest is None:
        raise ColabRLError(f"{name} has no checkpoint yet")
    return identity, newest
