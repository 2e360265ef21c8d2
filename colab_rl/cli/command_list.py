"""Every command: its arguments, its call, and what it prints."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any

from colab_rl.cli.streams import tell
from colab_rl.cli.syntax import argument, command
from colab_rl.errors import UsageError, nearest

ENVIRONMENT = "Gymnasium id (default BipedalWalker-v3); module:Id-v0 or module:function for your own"
CHECKPOINT = "best, latest or a generation"


RUN = argument("run", help="the run's name")
FUNCTION = argument("--env", metavar="MODULE:FUNCTION", help="what makes the environment, if the run trains on a "
                     "function")
ENV_SET = argument("--env-set", metavar="KEY=VALUE", nargs="+", action="extend",
                    help="keyword arguments for gymnasium.make, such as continuous=False")
JSON = argument("--json", action="store_true", help="as JSON")


def _keywords(options: argparse.Namespace) -> dict[str, Any] | None:
    """What --env-set gives; None without it."""
    from colab_rl.settings import parse_keywords

    return None if options.env_set is None else parse_keywords(options.env_set)


def _places(options: argparse.Namespace) -> dict[str, Any]:
    return {"root": getattr(options, "root", None), "store": getattr(options, "store", None)}


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def _copied(what: str, store_error: str | None) -> int:
    """The exit code for something that is here; says why its copy is not in the store, if it is not."""
    if store_error:
        tell(f"error: the {what} is whole here, and its copy did not reach the store: {store_error}; "
              "the same command tries again")
    return 1 if store_error else 0


@command(
    "start a run, or continue it", RUN,
    argument("--env", metavar="ID", help=ENVIRONMENT),
    ENV_SET,
    argument("--algo", help="ppo, or for continuous actions sac or tqc (default: sac for BipedalWalker-v3, "
             "BipedalWalkerHardcore-v3 and Pendulum-v1, else ppo)"),
    argument("--total-steps", metavar="N", help="environment steps; a larger number extends a run"),
    argument("--seed", metavar="S", help="of networks, actions and environments (default 0)"),
    argument("--backend", default="auto", help="what steps the environments: auto, gymnasium, envpool"),
    argument("--device", default="auto", help="auto, cpu, cuda"),
    argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
              help="settings, see the command presets"),
    argument("--from", metavar="OTHER[:CHECKPOINT]", dest="origin",
              help="start a new run from another run's checkpoint (a generation, best or latest), or with the "
              "settings of a sweep's best trial"))
def _train(options: argparse.Namespace) -> int:
    from colab_rl.settings import parse_settings
    from colab_rl.training.session import train

    result = train(options.run, env=options.env, env_kwargs=_keywords(options),
                   algo=options.algo, total_steps=options.total_steps, seed=options.seed, backend=options.backend,
                   device=options.device,
                   settings=parse_settings(options.set), origin=options.origin, **_places(options))
    print(result.summary())
    if result.problem:
        tell(f"error: {result.problem}")
    print(result.next_steps())
    print(f"state_sha256={result.state_sha256}", flush=True)
    if result.signal_number is not None:
        return 128 + result.signal_number
    return 1 if result.pending else 0


@command(
    "train many runs: seeds, a grid or a search; or continue them", argument("sweep", help="the sweep's name"),
    argument("--env", metavar="ID", help=ENVIRONMENT),
    ENV_SET,
    argument("--algo", metavar="NAME", nargs="+", help="one or more to compare (default: as for train)"),
    argument("--seeds", metavar="0-4", help="seeds of every trial, such as 0-4 or 0,3,7 (default 0)"),
    argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="settings of all trials"),
    argument("--vary", metavar="KEY=V1,V2", nargs="+", action="extend", default=[],
              help="a grid: a trial for each combination of these values"),
    argument("--search", metavar="KEY=LOW:HIGH[:log]", nargs="+", action="extend", default=[],
              help="a Bayesian search in these ranges, or among values: KEY=V1,V2"),
    argument("--trials", metavar="N", type=int, help="trials of a search (default 20); more extend it"),
    argument("--prune", action="store_true", default=None, help="stop trials that fall behind the median"),
    argument("--total-steps", metavar="N", help="environment steps of each run"),
    argument("--workers", metavar="N", type=int, help="runs at a time (default: as many as cores)"),
    argument("--on", default="local", metavar="WHERE", help="local (the default), ray, ray:ADDRESS"),
    argument("--yes", action="store_true", help="begin a sweep of more than 10,000 runs"), JSON)
def _sweep(options: argparse.Namespace) -> int:
    from colab_rl.commands.sweep import sweep
    from colab_rl.settings import parse_settings

    result = sweep(options.sweep, env=options.env, env_kwargs=_keywords(options), algo=options.algo,
                   seeds=options.seeds, settings=parse_settings(options.set), vary=options.vary, search=options.search,
                   trials=options.trials, prune=options.prune, total_steps=options.total_steps,
                   workers=options.workers, on=options.on, yes=options.yes, **_places(options))
    if options.json:
        _print_json(result.to_json())
    else:
        print(result.table(), result.summary(), sep="\n")
    for problem in result.problems:
        tell(f"error: {problem}")
    if result.signal_number is not None:
        return 128 + result.signal_number
    return 1 if result.problems else 0


@command(
    "list all runs, or the checkpoints of one, here and in the store",
    argument("run", nargs="?", help="a run or a sweep; without it, all runs"), JSON)
def _status(options: argparse.Namespace) -> int:
    from colab_rl.commands.status import status_in
    from colab_rl.runs.places import Places
    from colab_rl.sweeps.trials import record_of

    places = Places(**_places(options))
    # The run first: a store whose sweeps cannot be read hides no run.
    if options.run and not places.find(options.run) and (record := record_of(options.run, places)):
        standing = record.result()
        _print_json(standing.to_json()) if options.json else print(standing.summary(), standing.table(), sep="\n")
        return 0
    found = status_in(places, options.run)
    if options.json:
        _print_json(found[0] if options.run else found)
    elif options.run:
        print(found[0].summary(), found[0].table(), sep="\n")
    elif found:
        print("\n".join(run.summary() for run in found))
        if sweeps := places.sweeps():
            print(f"sweeps: {', '.join(sweeps)}; status {sweeps[0]} shows its trials")
    elif not places.names():  # one that cannot be read has been told
        print("no runs yet: python -m colab_rl train NAME begins one")
    return 0


@command(
    "score a policy over deterministic episodes of gymnasium's own environment", RUN,
    argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    argument("--episodes", type=int, default=100, help="how many episodes"),
    argument("--seed", type=int, default=0, help="the episodes' seeds are SEED, SEED + 1, ..."), FUNCTION, JSON)
def _evaluate(options: argparse.Namespace) -> int:
    from colab_rl.commands.evaluate import evaluate

    summary = evaluate(options.run, checkpoint=options.checkpoint, episodes=options.episodes, seed=options.seed,
                       env=options.env, **_places(options)).summary()
    if options.json:
        print(json.dumps(summary))
    else:
        print("mean {mean:.2f} +- {std:.2f}, min {min:.2f}, max {max:.2f}, mean length {mean_length:.1f}, "
              "{episodes} episodes".format(**summary))
    return 0


@command("read every file of every checkpoint against its manifest", RUN, JSON)
def _verify(options: argparse.Namespace) -> int:
    from colab_rl.commands.verify import verify

    found = verify(options.run, **_places(options))
    _print_json(found) if options.json else print(found.summary())
    return 1 if found.bad else 0


@command(
    "make a video of a policy, with its telemetry around the picture", RUN,
    argument("--form", default="episode", help="episode (the default), compare: side by side on one seed, "
              "evolution: how it learned"),
    argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    argument("--against", metavar="RUN[:WHICH]", nargs="+", action="extend", default=[],
              help="1 to 3 others for compare (default: the run's first checkpoint)"),
    argument("--seed", type=int, help="the episode's seed, as in evaluate (default: the median episode of the score)"),
    argument("--out", metavar="FILE", help=".mp4 or .gif (default: in the run's videos/)"),
    argument("--gif", action="store_true", help="a GIF in the run's videos/, for a README"),
    argument("--overlay", default="all", metavar="PANELS",
              help="all, none, or some of caption,numbers,traces,actions,progress"),
    argument("--size", type=int, metavar="W", help="width in pixels (default 600; compare 960; GIF 480)"),
    argument("--speed", type=float, default=1.0, help="1 is real time"),
    argument("--seconds", type=float, help="the longest part of each episode (default: all; evolution 6)"),
    argument("--overwrite", action="store_true", help="replace the file if there is one"), FUNCTION, JSON)
def _render(options: argparse.Namespace) -> int:
    from colab_rl.views.video.film import render

    video = render(options.run, form=options.form, checkpoint=options.checkpoint, against=options.against,
                   seed=options.seed, out=options.out, gif=options.gif, overlay=options.overlay, size=options.size,
                   speed=options.speed, seconds=options.seconds, overwrite=options.overwrite, env=options.env,
                   **_places(options))
    if options.json:
        _print_json({**dataclasses.asdict(video), "path": str(video.path)})
    else:
        print(video.summary())
    return _copied("video", video.store_error)


@command(
    "export the policy as a folder: ONNX, a model card, an example", RUN,
    argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    argument("--out", metavar="DIR", help="default: in the run's exports/"), FUNCTION, JSON)
def _export(options: argparse.Namespace) -> int:
    from colab_rl.commands.export import export

    exported = export(options.run, checkpoint=options.checkpoint, out=options.out, env=options.env, **_places(options))
    _print_json(exported.to_json()) if options.json else print(exported.summary())
    return _copied("folder", exported.store_error)


@command("copy to the store what it lacks of a run, and wait for it", RUN)
def _push(options: argparse.Namespace) -> int:
    from colab_rl.runs.push import push

    print(push(options.run, **_places(options)).summary())
    return 0


@command(
    "move a run, or a sweep and its runs, to the trash folder, here and in the store",
    argument("run", help="a run or a sweep"),
    argument("--yes", action="store_true", help="do not ask"))
def _delete(options: argparse.Namespace) -> int:
    from colab_rl.runs.places import Places, runs_among
    from colab_rl.runs.removal import delete, is_sweep

    if not options.yes:
        places = Places(**_places(options))
        runs = f" and its runs ({len(runs_among(places.names(), options.run))})" \
            if is_sweep(options.run, places) else ""
        tell(f"move {options.run}{runs} to the trash folder, here and in the store? Type y and Enter")
        if sys.stdin is None or sys.stdin.readline().strip().lower() not in ("y", "yes"):
            tell("nothing was changed")
            return 1
    print(delete(options.run, **_places(options)).summary())
    return 0


@command(
    "log in to Google Drive in a browser, for --store drive:FOLDER",
    argument("client_secrets", metavar="CLIENT_SECRETS", help="an OAuth client's JSON file (docs/guides/drive.md)"))
def _login(options: argparse.Namespace) -> int:
    from colab_rl.storage.drive.login import save_login

    print(f"logged in; saved for you alone in {save_login(options.client_secrets)}")
    return 0


@command(
    "write the dashboards of one or more runs as one HTML file",
    argument("runs", nargs="+", metavar="RUN[:CHECKPOINT]", help="runs, or one sweep"),
    argument("--out", metavar="FILE", help="default RUN-report.html in this folder"),
    argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    argument("--episodes", type=int, default=100, help="episodes behind each score; 0 leaves the scores out"),
    FUNCTION)
def _report(options: argparse.Namespace) -> int:
    from colab_rl.views.report import report

    print(report(options.runs, out=options.out, checkpoint=options.checkpoint, episodes=options.episodes,
                 env=options.env, **_places(options)))
    return 0


@command("print all settings, and the tuned ones of each environment",
          argument("env", nargs="?", metavar="ID", help="the tuned ones of this environment alone"), JSON)
def _presets(options: argparse.Namespace) -> int:
    from colab_rl.algorithms.registry import ALGORITHMS
    from colab_rl.settings import as_text

    env_ids = dict.fromkeys(env_id for algorithm in ALGORITHMS.values() for env_id in algorithm.presets)
    if options.env and options.env not in env_ids:
        raise UsageError(f"no settings are tuned for {options.env!r}{nearest(options.env, env_ids)} (there are: "
                         f"{', '.join(env_ids)})")
    env_ids = {options.env: None} if options.env else env_ids
    tuned = {env_id: {name: algorithm.presets[env_id] for name, algorithm in ALGORITHMS.items()
                      if env_id in algorithm.presets} for env_id in env_ids}
    if options.json:
        _print_json(tuned)
        return 0
    for env_id, algorithms in tuned.items():
        for name, settings in algorithms.items():
            print(f"{env_id}, {name}: " + " ".join(f"{key}={as_text(value)}" for key, value in settings.items()))
    for name, algorithm in ALGORITHMS.items() if not options.env else ():
        print(f"\nEvery setting of {name}, with its default:")
        for field in dataclasses.fields(algorithm.config_class):
            print(f"  {f'{field.name}={as_text(field.default)}':36} {field.metadata['help']}")
    return 0


@command("measure how fast this machine trains, and recommend settings",
          argument("--env", metavar="ID", help=ENVIRONMENT), JSON)
def _bench(options: argparse.Namespace) -> int:
    from colab_rl.commands.bench import bench

    found = bench(options.env)
    _print_json(found) if options.json else print(found.summary())
    return 0


@command("check this machine, and name a fix for each problem", JSON)
def _doctor(options: argparse.Namespace) -> int:
    from colab_rl.commands.doctor import examine

    found = examine(**_places(options))
    _print_json(found.to_json()) if options.json else print(found.summary())
    return 1 if found.bad else 0

