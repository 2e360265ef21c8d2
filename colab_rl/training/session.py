"""`train`: starts a run, or continues it, from nothing but its name."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch

from colab_rl import __version__
from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.own import check_algorithm, loading, make_algorithm, own_code_guarded, own_parts
from colab_rl.algorithms.registry import register_algorithm
from colab_rl.algorithms.unsaved import SavedStateCheck
from colab_rl.arguments import checked
from colab_rl.arithmetic import global_generators_kept, plain_torch
from colab_rl.checkpoints import Manifest, Replicator
from colab_rl.checkpoints.recovery import (
    Checkpoint,
    bring_segments,
    load_from_any,
    newest_whole,
    read_segments,
    restore_locally,
)
from colab_rl.checkpoints.retention import clear_leftovers
from colab_rl.checkpoints.segments import Rows
from colab_rl.checkpoints.serialization import deserialize
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.environments.backends import make_vector_environment
from colab_rl.environments.channels_of import describe_channels
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.make import named_source
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.trial import try_out
from colab_rl.errors import (
    ColabRLError,
    Divergence,
    EnvironmentFault,
    OwnCodeFault,
    StorageError,
    UsageError,
    near,
)
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.pool import Pool
from colab_rl.machine import available_device, versions
from colab_rl.networks.registry import register_network
from colab_rl.policies.load import load_algorithm
from colab_rl.progress import Dispensable, Watcher, say
from colab_rl.runs.identity import DerivedName, Identity, check_run_name, write_identity
from colab_rl.runs.lock import locked
from colab_rl.runs.places import Places
from colab_rl.runs.push import finish_replicating, replicating
from colab_rl.runs.removal import remove_if_untrained
from colab_rl.settings import Config, one_setting
from colab_rl.training.code import CODE, differences
from colab_rl.training.metrics import Row, from_csv
from colab_rl.training.request import Request, checkpoint_of
from colab_rl.training.result import TrainingResult, result_of
from colab_rl.training.scoring import Scorer
from colab_rl.training.stopping import StopRequest
from colab_rl.training.target import Target
from colab_rl.training.tensorboard import TensorBoardView
from colab_rl.training.trainer import Recorder, Trainer

CORRECT = "correct the code, then give the same command again"


@checked
def train(run: str, *, env: EnvironmentSource | None = None, env_kwargs: Mapping[str, Any] | None = None,
          algo: str | type[Algorithm] | None = None, total_steps: int | str | None = None,
          seed: int | str | None = None, backend: str = "auto", device: str = "auto",
          settings: Mapping[str, Any] | None = None, origin: str | None = None,
          root: str | os.PathLike | None = None, store: str | os.PathLike | None = None,
          watcher: Watcher | None = None) -> TrainingResult:
    """Starts the run, or continues it from its newest whole checkpoint.

    run: its name. At most 100 letters, digits, `.`, `_` and `-`.
    env: a Gymnasium id, `module:function`, or a function that makes an environment. A notebook's cell may define it.
    env_kwargs: keyword arguments for gymnasium.make, or for the function.
    algo: a name, `module:Class`, or an Algorithm class of your own.
    total_steps: environment steps. A larger number extends a run.
    backend: what steps the environments: `auto`, `gymnasium` or `envpool`. device: `auto`, `cpu` or `cuda`.
    settings: fields of the algorithm's config. They win over the preset. `network` may be a Network class, or a
        function that makes a torch module.
    origin: `OTHER` or `OTHER:CHECKPOINT` (a generation, `best` or `latest`): a new run starts from that checkpoint of
        another run. Or the name of a sweep: a new run starts with the settings of its best trial.
    root: the folder of this machine's runs. store: where checkpoints go beyond it.
    watcher: shows the progress, in place of the progress bar.

    If the run exists, an argument that contradicts it raises UsageError and changes nothing. Ctrl-C and SIGTERM save a
    checkpoint and return. Raises ColabRLError if something outside the program fails. Its text says what was kept.
    """
    check_run_name(run)
    env = named_source(env) if isinstance(env, str) else env
    algo = register_algorithm(algo) if isinstance(algo, type) else algo
    request = Request(run=str(run), env=env, algo=algo, backend=backend, device=device, origin=origin,
                      env_kwargs=env_kwargs,
                      settings=_merged(_named(settings or {}), total_steps=total_steps, seed=seed))
    places = Places(root, store, make_store=True)
    identity = places.find(run)
    new = identity is None
    if identity:
        total = request.agree(identity)
        environment = identity.environment(env, "train")
        spaces = describe(environment, try_out)
        identity.check_spaces(spaces)
    else:
        if places.has_sweep(run):
            raise UsageError(f"a sweep is called {run}; nothing was started; give the run another name")
        identity, spaces = request.branch(origin, places) if origin is not None else request.begin()
        environment, total = identity.environment(env, "train"), identity.config["total_steps"]
    stepped_by = request.backend_of(identity, environment, spaces)
    with plain_torch(identity.threads):
        check_algorithm(identity.algorithm, identity.make_config(), spaces)
        if new and not isinstance(run, DerivedName):
            _say_if_mistyped(run, places)
        with locked(places.local(run)), StopRequest() as stop:
            code = request.code(identity.algorithm, identity.make_config().network, identity.backend, environment)
            session = _Session(identity, places, environment, spaces, stepped_by, code, watcher)
            try:
                return session.run(total, stop)
            except ColabRLError as error:
                if not new or not remove_if_untrained(identity, places):
                    raise
                again = f"; {CORRECT}" if isinstance(error, OwnCodeFault) else ""
                raise type(error)(f"{error}; no trained state was saved, so colab_rl removed {run}{again}") from error


def _say_if_mistyped(run: str, places: Places) -> None:
    """Says that a name begins a new run if it is spelt like another's; numbers tell runs apart on purpose, and so does
    one more of them at the end.
    """
    def letters(name: str) -> str:
        return re.sub("[-_.]?[0-9]+$|[0-9]+", "", name)

    others = [name for name in near(run, places.names(), cutoff=0.75) if letters(name) != letters(run)]
    if others:
        say(f"{run} is a new run, and you also have {' and '.join(others)}: to continue that one, stop now, delete "
            f"{run}, and give the other name")


class _Session:
    """One session of one run on this machine, under its lock."""

    def __init__(self, identity: Identity, places: Places, environment: EnvironmentSource, spaces: Spaces,
                 backend: str, code: dict[str, str], watcher: Watcher | None):
        self.identity = identity
        self.places = places
        self.config = identity.make_config()
        self.environment = environment
        self.spaces = spaces
        self.backend = backend
        self.code = code
        self.watcher = Dispensable(watcher, "the watcher") if watcher else None
        self.local, self.remote = places.tiers(identity)
        self.local.clear()
        self.identity_bytes = write_identity(identity, places.local(identity.name), places.remote(identity.name))
        self.local.identity = self.identity_bytes

    def run(self, total_steps: int, stop: StopRequest) -> TrainingResult:
        """Continues from the newest whole checkpoint, and copies what the session wrote to the store."""
        checkpoint = newest_whole(self.local, self.remote, say,
                                  check=lambda manifest: bring_segments(manifest, self.local, self.remote))
        if checkpoint is None:
            say(f"{self.identity.name} has no checkpoint yet: it begins from nothing{self._where_it_stays()}")
        tables: list[bytes] = []
        if checkpoint:
            # The command that began a run continues its extension; other steps than both are a contradiction.
            if self.config.total_steps < total_steps < checkpoint.manifest.total_steps:
                raise UsageError(f"run {self.identity.name} exists and differs: total_steps is "
                                 f"{checkpoint.manifest.total_steps} and can only grow, not {total_steps}; nothing was "
                                 "changed; leave the option out to continue it")
            tables = restore_locally(checkpoint, self.local, self.remote, say)
            clear_leftovers(self.local, checkpoint.manifest)
            total_steps = max(total_steps, checkpoint.manifest.total_steps)
        with replicating(self.identity, self.places, self.identity_bytes) as replicator:
            rows = self._shown(row for table in tables for row in from_csv(table))
            with contextlib.closing(TensorBoardView(self.places.tensorboard(self.identity.name), rows)) as tensorboard:
                if self.watcher:
                    self.watcher.goal(total_steps)
                if checkpoint and checkpoint.manifest.finished and checkpoint.manifest.total_steps == total_steps \
                        and checkpoint.manifest.confirmed != {}:
                    newest = checkpoint.manifest
                else:
                    newest = self._train(total_steps, checkpoint, tensorboard, replicator, stop)
            if replicator:
                finish_replicating(replicator)
                if replicator.overtaken:
                    raise ColabRLError(f"{replicator.overtaken}; this one has stopped; kept here: generation "
                                       f"{newest.generation}, step {newest.step:,}; nothing of the other was changed")
            return result_of(self.identity, self.places, newest, self.local, self.remote, replicator,
                             stop.signal_number)

    def _where_it_stays(self) -> str:
        """The end of a line that says how a session begins; empty if there is a store."""
        return "" if self.places.store else ", and without a store it stays on this machine"

    def _policy(self, manifest: Manifest) -> Algorithm:
        """The algorithm of an earlier checkpoint, on the CPU, from whichever place has it whole."""
        tiers = [tier for tier in (self.local, self.remote) if tier]
        return load_algorithm(self.identity, load_from_any(tiers, manifest), self.spaces)

    def _shown(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, each shown to the watcher as it passes: a long run's are not held in memory."""
        for row in rows:
            if self.watcher:
                self.watcher.past(row)
            yield row

    def _start(self, checkpoint: Checkpoint | None) -> tuple[Checkpoint, Iterator[Rows]] | None:
        """Where training continues: this run's newest checkpoint, or its origin, and the
        experience that belongs to it. None if it begins from nothing.
        """
        origin = self.identity.origin
        if checkpoint:
            return checkpoint, read_segments(checkpoint.manifest, self.local, self.remote)
        if origin is None or "sweep" in origin:
            return None
        other, checkpoint = checkpoint_of("{run}:{generation}".format(**origin), self.places)
        if checkpoint.manifest.state_sha256 != origin["state_sha256"]:
            raise ColabRLError(f"generation {origin['generation']} of {origin['run']} is another now than when "
                               f"{self.identity.name} was begun; nothing was changed")
        return checkpoint, read_segments(checkpoint.manifest, *self.places.tiers(other))

    def _train(self, total_steps: int, checkpoint: Checkpoint | None, tensorboard: TensorBoardView,
               replicator: Replicator | None, stop: StopRequest) -> Manifest:
        """Trains to the end or the stop; returns the newest checkpoint's manifest."""
        identity, config = self.identity, self.config
        device, reasons = available_device(identity.device)
        say(f"environments stepped by {self.backend}")
        here = {**versions(device, identity.threads, self.backend), **self.code}
        with contextlib.ExitStack() as stack:
            stack.enter_context(plain_torch(identity.threads, device))
            stack.enter_context(global_generators_kept(device))
            # A run with one environment never has a second one beside it: an evaluation steps the same.
            alone = config.num_envs == 1
            envs = stack.enter_context(make_vector_environment(
                self.backend, self.environment, self.spaces, config.num_envs, config.seed,
                describe_channels(self.environment) if alone else None))
            lent = envs if alone and isinstance(envs, GymnasiumVectorEnvironment) else None
            evaluator = stack.enter_context(contextlib.closing(Evaluator(
                self.environment, self.spaces, config.eval_episodes, lent)))
            kept = f"; kept: generation {checkpoint.manifest.generation}; {CORRECT}" if checkpoint else ""
            make = partial(make_algorithm, identity.algorithm, config, self.spaces)
            algorithm = make(torch.device(device), kept)
            own = " with ".join(own_parts(identity.algorithm, config.network))
            pool = Pool(self.environment, self.spaces) if self.backend == "envpool" else None
            sought = config.target_score
            target = Target(sought, config.eval_every, total_steps, evaluator, pool) if sought is not None else None
            trainer = Trainer(identity.name, config, total_steps, algorithm, envs, evaluator,
                              Recorder(identity.run_id, self.local, replicator, tensorboard, here, self.watcher),
                              Scorer(identity.env_id, config.best_by, config.score_episodes, evaluator, self._policy,
                                     pool), target,
                              SavedStateCheck(partial(make, torch.device("cpu")), own) if own else None)
            start = self._start(checkpoint)
            remembers = [] if checkpoint else envs.check_repeats()
            if start:
                manifest = start[0].manifest
                # A run from another's checkpoint may be trained by other code: it is exact from there.
                then = manifest.versions if checkpoint else {**manifest.versions, "colab_rl": __version__, **self.code}
                changes = [*manifest.inexact, *differences(then, here, f"{identity.algorithm} {identity.backend}"),
                           *reasons, *remembers]
                if checkpoint and sought is not None and CODE not in then:  # as 0.1.0 wrote it
                    changes.append("the rule that stops at target_score changed")
                _load(trainer, identity.algorithm, *start, checkpoint is not None, changes)
                say(f"continuing from generation {manifest.generation} (iteration {manifest.iteration:,}, step "
                    f"{manifest.step:,}){self._where_it_stays() if checkpoint else ''}")
            else:
                trainer.inexact = remembers
                envs.reset()
            if trainer.inexact:
                say(f"not bit-exact: {', '.join(trainer.inexact)}")
            _run(trainer, identity.algorithm, stop)
            assert trainer.manifest is not None
            return trainer.manifest


def _load(trainer: Trainer, algorithm: str, start: Checkpoint, experience: Iterable[Rows], own: bool,
          changes: list[str]) -> None:
    """Puts the trainer where a checkpoint left off, its own run's or another's."""
    manifest = start.manifest
    with loading(trainer.algorithm, algorithm, trainer.config.network, lambda: deserialize(start.state)["algorithm"],
                 f"generation {manifest.generation}"):
        trainer.load(deserialize(start.state), experience, manifest if own else None, changes)


def _run(trainer: Trainer, algorithm: str, stop: StopRequest) -> None:
    """Trains; if something goes wrong, says what is kept and what to do."""
    try:
        with own_code_guarded(algorithm, trainer.config.network):
            trainer.run(stop)
    except (Divergence, EnvironmentFault, OwnCodeFault, StorageError) as error:
        manifest, advice = trainer.manifest, "the same command continues from there"
        if manifest is None or manifest.generation == 1:
            began = manifest.iteration if manifest else 0
            raise type(error)(f"{error}; no iteration was completed" if trainer.iteration == began else
                              f"after iteration {trainer.iteration:,}: {error}; no checkpoint was due yet") from error
        if isinstance(error, Divergence):
            advice = (f"try another setting from there, such as a smaller learning rate: train NEW "
                      f"--from {trainer.name}:{manifest.generation} --set learning_rate=...")
        if isinstance(error, EnvironmentFault):  # continuing is exact, so what depends on the steps comes again
            advice += "; if the environment is at fault, fix it first"
        if isinstance(error, OwnCodeFault):
            advice = CORRECT
        raise type(error)(f"after iteration {trainer.iteration:,}: {error}; kept: generation {manifest.generation}, "
                          f"step {manifest.step:,}; {advice}") from error


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with the user's own network by its name."""
    network = settings.get("network", "mlp")
    return {**settings, "network": register_network(network)} if not isinstance(network, str) else dict(settings)


def _merged(settings: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """The settings and the options that are settings too. Raises UsageError if both name one, and differ."""
    merged = dict(settings)
    for name, value in options.items():
        if value is None:
            continue
        if name in merged and one_setting(Config, name, merged[name]) != one_setting(Config, name, value):
            raise UsageError(f"{name} is given twice, as {merged[name]} and as {value}")
        merged.setdefault(name, value)
    return merged
