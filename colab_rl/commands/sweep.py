"""`sweep`: trains every trial of a plan with every seed. Given again, it continues each unfinished run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.off_policy import OffPolicyConfig
from colab_rl.algorithms.own import check_algorithm, make_algorithm, own_code_guarded
from colab_rl.algorithms.registry import default_algorithm
from colab_rl.arguments import checked
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.commands.sweep_table import TerminalTable
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.environments.backends import check_backend, choose_backend, make_vector_environment
from colab_rl.environments.likeness import packed
from colab_rl.environments.make import configured, named_source
from colab_rl.environments.trial import try_new
from colab_rl.errors import ColabRLError, UsageError, nearest
from colab_rl.progress import Dispensable, say
from colab_rl.runs.identity import check_run_name
from colab_rl.runs.lock import locked
from colab_rl.runs.places import Location, Places, store_name
from colab_rl.settings import Config
from colab_rl.storage import FolderStorage
from colab_rl.sweeps.asked import OwnCode, asked_parts, with_values
from colab_rl.sweeps.driver import Driver, SweepWatcher
from colab_rl.sweeps.folder import LOGS, SweepFolder
from colab_rl.sweeps.plan import Plan, agreed, check_plan, grid_size
from colab_rl.sweeps.runners import Runner
from colab_rl.sweeps.search import optuna
from colab_rl.sweeps.trials import Record, SweepResult
from colab_rl.training.request import DEFAULT_ENVIRONMENT
from colab_rl.training.stopping import StopRequest
from colab_rl.views.values import duration

MANY = 10_000         # runs: a sweep of more begins only with `yes`
TRIALS = 20          # of a search
MOST_WORKERS = 1024
MEASURED = 1.0       # seconds in which the speed of a run is measured


@checked
def sweep(sweep: str, *, env: EnvironmentSource | None = None, env_kwargs: Mapping[str, Any] | None = None,
          algo: str | type[Algorithm] | Sequence[str] | None = None, seeds: str | int | Sequence[int] | None = None,
          settings: Mapping[str, Any] | None = None, vary: Mapping[str, Any] | Sequence[str] | None = None,
          search: Mapping[str, Any] | Sequence[str] | None = None, trials: int | None = None,
          prune: bool | None = None, total_steps: int | str | None = None, workers: int | None = None,
          on: str = "local", backend: str = "auto", yes: bool = False, root: Location = None,
          store: Location = None, watcher: SweepWatcher | None = None) -> SweepResult:
    """Trains every trial with every seed, each as an ordinary run `SWEEP-t<trial>-s<seed>`; continues if given again.

    sweep: its name. env, env_kwargs, settings, total_steps, root, store: see `train`.
    algo: a name or a class, or several names.
    seeds: `"0-4"`, `"0,3,7-9"`, a number or numbers (default 0).
    vary: a grid, `{"learning_rate": [3e-4, 1e-3]}`. search: what a Bayesian search may choose,
        `{"learning_rate": (1e-4, 3e-3, "log"), "num_steps": [128, 256]}`. trials: how many it tries (default 20).
    prune: stops trials that fall behind the median of those before. workers: runs at a time (default: cores).
    on: `local`, `ray` or `ray:ADDRESS`. yes: begins a sweep of more than 10,000 runs.
    watcher: shows the progress, in place of the lines on standard error.

    On a sweep that exists, more seeds or trials extend it. What contradicts it raises UsageError and changes nothing.
    Ctrl-C and SIGTERM let every run save, and return. A trial that fails does not end the others.
    """
    check_run_name(sweep)
    env = named_source(env) if isinstance(env, str) else env
    check_backend(backend)
    if workers is not None and not 1 <= workers <= MOST_WORKERS:
        raise UsageError(f"workers is between 1 and {MOST_WORKERS}, not {workers}")
    places = Places(root, store, make_store=True)
    folder = SweepFolder(places, sweep)
    before = folder.plan()
    own = OwnCode()
    asked = asked_parts(env, env_kwargs, algo, seeds, settings, vary, search, trials, prune, total_steps, own)
    make_runner = _runner_of(on, workers, places, folder)
    algorithms = asked.get("algorithms") or (
        before.algorithms if before else (default_algorithm(asked.get("env_id", DEFAULT_ENVIRONMENT)),))
    asked = with_values(algorithms, asked)
    with contextlib.ExitStack() as stack:
        runner = functools.cache(lambda: stack.enter_context(contextlib.closing(make_runner())))
        plan = agreed(before, asked) if before else _new_plan(sweep, algorithms, asked, runner().slots)
        if plan != before:
            if plan.searches:
                optuna()
            _check_names(plan, before, places)
            _check_new(plan, before, _source_of(plan, env), backend, runner(), yes)
        with locked(folder.local), StopRequest() as stop, contextlib.closing(folder):
            lines = folder.journal()
            folder.begin_journal(lines)
            folder.write_plan(plan)
            record = Record(plan, lines, places.options)
            record.forget_unfinished(_folders(places))
            if (standing := record.result()).finished:
                if standing.best_trial is not None:  # a kill may have come between the journal's last line and this
                    folder.write_best(record.best_content(standing.best_trial))
                return standing
            if plan.searches:
                optuna()
            source = _source_of(plan, env)
            table: SweepWatcher = Dispensable(watcher, "the watcher") if watcher else TerminalTable(plan)
            with contextlib.closing(runner()), contextlib.closing(table):  # all runs end before the lock is free
                for note in [f"{sweep}: {_size(plan)}, {runner().words}", *runner().notes()]:
                    say(note)
                options = {"env_kwargs": plan.env_kwargs, "backend": backend, "root": str(places.root),
                           "store": _store_of(places, store)}
                driver = Driver(plan, folder, record, runner(), options, packed(own.of(source)), table)
                return driver.run(stop)


def _new_plan(name: str, algorithms: tuple[str, ...], asked: Mapping[str, Any], slots: int) -> Plan:
    """slots: how many runs are trained at a time."""
    seeds, space = asked.get("seeds", (0,)), asked.get("space", {})
    if "trials" in asked and not space:
        raise UsageError("trials is of a search, and a grid has as many trials as its values make: give --search, or "
                         "leave --trials out")
    trials = asked.get("trials", TRIALS) if space else grid_size(algorithms, asked.get("grid", {}))
    return Plan(**{"env_id": DEFAULT_ENVIRONMENT, "env_is_function": False, **asked, "sweep": name,
                   "algorithms": algorithms, "seeds": seeds, "trials": trials,
                   "at_once": -(-slots // len(seeds)), "judges": min(len(seeds), slots)})


def _check_new(plan: Plan, before: Plan | None, source: EnvironmentSource, backend: str, runner: Runner,
               yes: bool) -> None:
    """Says how long what is new takes. Raises UsageError if it cannot be trained."""
    with plain_torch(THREADS):
        _say_how_long(plan, plan.total_runs - (before.total_runs if before else 0), source, backend, runner, yes)
        check_plan(plan, functools.cache(
            lambda wrappers: describe(configured(source, plan.env_kwargs, wrappers), try_new)))


def _source_of(plan: Plan, env: EnvironmentSource | None) -> EnvironmentSource:
    """What makes the environment: its id, or the function, which is given each time."""
    if env is not None:
        return env
    if plan.env_is_function:
        path = f"give it with --env {plan.env_path}, or" if plan.env_path else "give it"
        raise UsageError(f"{plan.sweep} trains on {plan.env_id.removeprefix('custom:')}, a function: {path} from "
                         "Python with sweep(..., env=that function)")
    return plan.env_id


def _check_names(plan: Plan, before: Plan | None, places: Places) -> None:
    """Raises UsageError if a run that is not of the sweep has a name that the plan needs."""
    there = _folders(places)
    if plan.sweep in there and places.find(plan.sweep):
        raise UsageError(f"a run is called {plan.sweep}; nothing was started; give the sweep another name")
    known = {before.run_name(trial, seed) for trial in range(before.trials) for seed in before.seeds} \
        if before else set()
    for name in sorted(there - known):
        if name.startswith(f"{plan.sweep}-t") and name in {
                run for trial in range(plan.trials) for run in plan.runs_of(trial)}:
            raise UsageError(f"a run {name} is there and is not of this sweep; nothing was started; give the sweep "
                             "another name, or move the run away")


def _folders(places: Places) -> set[str]:
    """The folders here and in the store, runs among them."""
    found: set[str] = set()
    for storage in filter(None, (FolderStorage(places.root), places.store)):
        found |= set(storage.folders())
    return found


def _say_how_long(plan: Plan, runs: int, source: EnvironmentSource, backend: str, runner: Runner, yes: bool) -> None:
    """Says how long the sweep will take. Raises UsageError if it has very many runs and nobody said yes."""
    own = plan.middle() if plan.searches else plan.settings_of(0)
    words = _counted(runs, "run")
    try:
        config = plan.config_of(own)
        speed = _speed(plan.training_of(own)[0], config, configured(source, plan.env_kwargs, config.wrappers), backend)
    except ColabRLError:  # `check_plan` says it
        speed = None
    else:
        words += f" of {config.total_steps:,} steps"
    if speed:
        at_once = min(runner.slots, runner.cores, runs)
        seconds = float(config.total_steps) * math.ceil(runs / at_once) / speed
        words += (f", about {duration(seconds)}, {at_once} at a time, at the {speed:,.0f} steps/s that this "
                  "machine trains now (evaluations not counted)")
    if runs > MANY and not yes:
        raise UsageError(f"{plan.sweep}: {words}; nothing was started; give --yes to begin")
    say(f"{plan.sweep}: {words}")


def _speed(algorithm: str, config: Config, source: EnvironmentSource, backend: str) -> float:
    """Steps a second of a run, as the command bench measures them."""
    spaces = describe(source)
    check_algorithm(algorithm, config, spaces)
    if isinstance(config, OffPolicyConfig):
        config = dataclasses.replace(config, learning_starts=0)  # the first steps would learn nothing
    backend = choose_backend(backend, source, spaces)
    with (plain_torch(THREADS), make_vector_environment(backend, source, spaces, config.num_envs, 0) as envs,
          own_code_guarded(algorithm, config.network)):
        learner, done = make_algorithm(algorithm, config, spaces, torch.device("cpu")), 0
        envs.reset()
        began = time.perf_counter()
        while (elapsed := time.perf_counter() - began) < MEASURED or not done:
            done += learner.collect(envs)
            learner.update(progress=0.0)
    return done / elapsed


def _runner_of(on: str, workers: int | None, places: Places, folder: SweepFolder) -> Callable[[], Runner]:
    """What makes the runner. Raises UsageError for another word."""
    if on == "local":
        from colab_rl.sweeps.runners.local import LocalRunner

        return lambda: LocalRunner(workers, folder.root / LOGS)
    where, colon, address = on.partition(":")
    if where == "ray" and (address or not colon):
        from colab_rl.sweeps.runners.ray import RayRunner, ray

        ray()
        if address and places.store is None:
            raise UsageError("the nodes of a cluster share runs through a store: give --store a folder that all of "
                             "them see, or drive:FOLDER; nothing was started")
        return lambda: RayRunner(address, workers, folder.root / LOGS)
    raise UsageError(f"on takes local, ray or ray:ADDRESS, not {on!r}{nearest(on, ['local', 'ray'])}")


def _store_of(places: Places, store: Location) -> str:
    """The store's name for another process, whatever its working folder is."""
    if places.store is None:
        return "none"
    return str(places.store.root) if isinstance(places.store, FolderStorage) else store_name(store)


def _size(plan: Plan) -> str:
    """`8 trials of 3 seeds`."""
    return f"{_counted(plan.trials, 'trial')} of {_counted(len(plan.seeds), 'seed')}"


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
