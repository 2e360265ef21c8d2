"""The command line: `python -m colab_rl COMMAND ...`.

Exit codes: 0 done; 1 failed, with one line that says what happened, what was kept and what
to do; 2 wrong usage; 130 and 143 after Ctrl-C and SIGTERM, with a checkpoint saved.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import io
import json
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from colab_rl.errors import ColabRLError, UsageError, near, nearest, warnings_raise_nothing
from colab_rl.machine import standard_error
from colab_rl.training.stopping import StoppedAtOnce

ENVIRONMENT = "Gymnasium id (default BipedalWalker-v3); module:Id-v0 or module:function for your own"
CHECKPOINT = "best, latest or a generation"


def console() -> int:
    """What the installed program `colab-rl` runs: environments in this folder are found, as by `python -m colab_rl`."""
    if not sys.flags.safe_path:
        sys.path.insert(0, "")
    return main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    _mend_streams()
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        _refuse(options, unknown)
    try:
        os.getcwd()
    except FileNotFoundError:  # in which torch ends the program when it is imported
        _tell("error: the current folder is gone; nothing was changed; change to an existing one")
        return 1
    try:
        with warnings_raise_nothing():
            code = options.command(options)
        sys.stdout.flush()
        return code
    except ColabRLError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        if package == "colab_rl":
            raise  # none that somebody could install
        _tell(f"error: {error}; what was saved before is kept; {_installing(package)}")
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return 128 + signal.SIGPIPE
        _tell(f"error: {error}; what was saved before is kept")
        return 1
    except KeyboardInterrupt as error:
        _tell("stopped at once, without saving; the newest checkpoint is kept")
        return 128 + (error.signal_number if isinstance(error, StoppedAtOnce) else signal.SIGINT)


def _tell(line: str) -> None:
    """Prints a line on standard error, if somebody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def _mend_streams() -> None:
    """Lets results be printed if standard output is closed, or cannot show a file's name; they change no outcome."""
    standard_error()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by `>&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (to the end of the program)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _installing(package: str) -> str:
    """What to do if a package cannot be imported."""
    from colab_rl import requirements

    try:
        missing = [f'"{need.requirement}"' for need in requirements.needs() if need.needed and need.here is None]
    except (ModuleNotFoundError, ColabRLError):  # it is `packaging`; nothing says what is needed
        missing = []
    return f"pip install {' '.join(missing or [package])}, then run the same command again"


def _nobody_reads() -> bool:
    """Whether standard output is a pipe that was closed, as `| head` does; then what is left for it is dropped."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    closed = any(events & select.POLLERR for _, events in poll.poll(0))
    if closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return closed


def _refuse(options: argparse.Namespace, unknown: Sequence[str]) -> NoReturn:
    """Says what to give in place of words that no command takes, and leaves with 2."""
    name = options.command.__name__.strip("_")
    seed = getattr(options, "seed", None)
    hint = f"see python -m colab_rl {name} --help"
    known = [option[2:] for names, _ in COMMANDS[name][2] for option in names if option.startswith("--")]
    if name == "train" and seed is not None and all(word.isdigit() for word in unknown):
        seeds = ",".join(map(str, (seed, *unknown)))
        hint = f"a run has one seed; train a sweep for several: sweep {options.run} --seeds {seeds}"
    elif name == "train" and unknown[0].startswith("--"):
        key, _, value = unknown[0].removeprefix("--").replace("-", "_").partition("=")
        from colab_rl.algorithms.registry import OURS, settings_of

        is_setting = any(key in settings_of(algorithm) for algorithm in OURS)
        meant = [] if is_setting else near(key.replace("_", "-"), [*known, "root", "store"], cutoff=0.6)
        hint = (f"did you mean --{meant[0]}? See" if meant else
                f"is it a setting? Then --set {key}={value or ' '.join(unknown[1:2]) or 'VALUE'}; see") + hint[3:]
    _tell(f"error: unrecognized arguments: {' '.join(unknown)}; {hint}")
    raise SystemExit(2)


class _Help(argparse.HelpFormatter):
    """Names the default of an option whose help does not."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        telling = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
        if not telling or action.default == argparse.SUPPRESS or not action.help or "default" in action.help:
            return action.help
        return f"{action.help} (default {action.default})"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        asked = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        if asked:
            message = f"no command {asked[1]!r}{nearest(asked[1], COMMANDS)} (there are: {', '.join(COMMANDS)})"
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


Function = Callable[[argparse.Namespace], int]
Argument = tuple[tuple[str, ...], dict[str, Any]]
COMMANDS: dict[str, tuple[Function, str, tuple[Argument, ...]]] = {}


def _argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as `add_argument` takes it."""
    return names, options


def _command(help: str, *arguments: Argument) -> Callable[[Function], Function]:
    """Makes a function the command of its name."""
    def added(function: Function) -> Function:
        COMMANDS[function.__name__.strip("_")] = function, help, arguments
        return function

    return added


RUN = _argument("run", help="the run's name")
FUNCTION = _argument("--env", metavar="MODULE:FUNCTION", help="what makes the environment, if the run trains on a "
                     "function")
ENV_SET = _argument("--env-set", metavar="KEY=VALUE", nargs="+", action="extend",
                    help="keyword arguments for gymnasium.make, such as continuous=False")
JSON = _argument("--json", action="store_true", help="as JSON")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    # Before or after the command: SUPPRESS keeps the second parser from undoing what the first one read.
    places = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    places.add_argument("--root", metavar="DIR", help="this machine's runs (default $COLAB_RL_ROOT, else runs)")
    places.add_argument("--store", metavar="PLACE", help="where checkpoints go beyond this machine: a folder, "
                        "drive:FOLDER, or none (default $COLAB_RL_STORE, else on Colab the mounted Drive's colab_rl "
                        "folder)")
    parser = _Parser(prog="python -m colab_rl", parents=[places], description="Train, understand and show a "
                                     "reinforcement-learning policy.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (function, help, arguments) in COMMANDS.items():
        command = commands.add_parser(name, parents=[places], help=help, description=help, formatter_class=_Help)
        command.set_defaults(command=function)
        for names, options in arguments:
            command.add_argument(*names, **options)
    return parser


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
        _tell(f"error: the {what} is whole here, and its copy did not reach the store: {store_error}; "
              "the same command tries again")
    return 1 if store_error else 0


@_command(
    "start a run, or continue it", RUN,
    _argument("--env", metavar="ID", help=ENVIRONMENT),
    ENV_SET,
    _argument("--algo", help="ppo, or for continuous actions sac or tqc (default: sac for BipedalWalker-v3, else ppo)"),
    _argument("--total-steps", metavar="N", help="environment steps; a larger number extends a run"),
    _argument("--seed", metavar="S", help="of networks, actions and environments (default 0)"),
    _argument("--backend", default="auto", help="what steps the environments: auto, gymnasium, envpool"),
    _argument("--device", default="auto", help="auto, cpu, cuda"),
    _argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[],
              help="settings, see the command presets"),
    _argument("--from", metavar="OTHER[:CHECKPOINT]", dest="origin",
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
        _tell(f"error: {result.problem}")
    print(result.next_steps())
    print(f"state_sha256={result.state_sha256}", flush=True)
    if result.signal_number is not None:
        return 128 + result.signal_number
    return 1 if result.pending else 0


@_command(
    "train many runs: seeds, a grid or a search; or continue them", _argument("sweep", help="the sweep's name"),
    _argument("--env", metavar="ID", help=ENVIRONMENT),
    ENV_SET,
    _argument("--algo", metavar="NAME", nargs="+", help="one or more to compare (default: as for train)"),
    _argument("--seeds", metavar="0-4", help="seeds of every trial, such as 0-4 or 0,3,7 (default 0)"),
    _argument("--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="settings of all trials"),
    _argument("--vary", metavar="KEY=V1,V2", nargs="+", action="extend", default=[],
              help="a grid: a trial for each combination of these values"),
    _argument("--search", metavar="KEY=LOW:HIGH[:log]", nargs="+", action="extend", default=[],
              help="a Bayesian search in these ranges, or among values: KEY=V1,V2"),
    _argument("--trials", metavar="N", type=int, help="trials of a search (default 20); more extend it"),
    _argument("--prune", action="store_true", default=None, help="stop trials that fall behind the median"),
    _argument("--total-steps", metavar="N", help="environment steps of each run"),
    _argument("--workers", metavar="N", type=int, help="runs at a time (default: as many as cores)"),
    _argument("--on", default="local", metavar="WHERE", help="local (the default), ray, ray:ADDRESS"),
    _argument("--yes", action="store_true", help="do not ask before more than 10,000 runs"), JSON)
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
        _tell(f"error: {problem}")
    if result.signal_number is not None:
        return 128 + result.signal_number
    return 1 if result.problems else 0


@_command(
    "list all runs, or the checkpoints of one, here and in the store",
    _argument("run", nargs="?", help="a run or a sweep; without it, all runs"), JSON)
def _status(options: argparse.Namespace) -> int:
    from colab_rl.commands.status import status_in
    from colab_rl.runs.places import Places
    from colab_rl.sweeps.trials import record_of

    places = Places(**_places(options))
    if options.run and (record := record_of(options.run, places)):
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
    elif not places.names():  # one that cannot be read has been told
        print("no runs yet: python -m colab_rl train NAME begins one")
    return 0


@_command(
    "score a policy over deterministic episodes of gymnasium's own environment", RUN,
    _argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    _argument("--episodes", type=int, default=100, help="how many episodes"),
    _argument("--seed", type=int, default=0, help="the episodes' seeds are SEED, SEED + 1, ..."), FUNCTION, JSON)
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


@_command("read every file of every checkpoint against its manifest", RUN, JSON)
def _verify(options: argparse.Namespace) -> int:
    from colab_rl.commands.verify import verify

    found = verify(options.run, **_places(options))
    _print_json(found) if options.json else print(found.summary())
    return 1 if found.bad else 0


@_command(
    "make a video of a policy, with its telemetry around the picture", RUN,
    _argument("--form", default="episode", help="episode (the default), compare: side by side on one seed, "
              "evolution: how it learned"),
    _argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    _argument("--against", metavar="RUN[:WHICH]", nargs="+", action="extend", default=[],
              help="1 to 3 others for compare (default: the run's first checkpoint)"),
    _argument("--seed", type=int, help="the episode's seed, as in evaluate (default: the median episode of the score)"),
    _argument("--out", metavar="FILE", help=".mp4 or .gif (default: in the run's videos/)"),
    _argument("--gif", action="store_true", help="a GIF in the run's videos/, for a README"),
    _argument("--overlay", default="all", metavar="PANELS",
              help="all, none, or some of caption,numbers,traces,actions,progress"),
    _argument("--size", type=int, metavar="W", help="width in pixels (default 600; compare 960; GIF 480)"),
    _argument("--speed", type=float, default=1.0, help="1 is real time"),
    _argument("--seconds", type=float, help="the longest part of each episode (default: all; evolution 6)"),
    _argument("--overwrite", action="store_true", help="replace the file if there is one"), FUNCTION, JSON)
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


@_command(
    "export the policy as a folder: ONNX, a model card, an example", RUN,
    _argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    _argument("--out", metavar="DIR", help="default: in the run's exports/"), FUNCTION, JSON)
def _export(options: argparse.Namespace) -> int:
    from colab_rl.commands.export import export

    exported = export(options.run, checkpoint=options.checkpoint, out=options.out, env=options.env, **_places(options))
    _print_json(exported.to_json()) if options.json else print(exported.summary())
    return _copied("folder", exported.store_error)


@_command("copy to the store what it lacks of a run, and wait for it", RUN)
def _push(options: argparse.Namespace) -> int:
    from colab_rl.runs.push import push

    print(push(options.run, **_places(options)).summary())
    return 0


@_command(
    "move a run to the trash folder, here and in the store", RUN,
    _argument("--yes", action="store_true", help="do not ask"))
def _delete(options: argparse.Namespace) -> int:
    from colab_rl.runs.places import Places
    from colab_rl.runs.removal import delete

    if not options.yes:
        Places(**_places(options)).require(options.run)
        _tell(f"move {options.run} to the trash folder, here and in the store? Type y and Enter")
        if sys.stdin is None or sys.stdin.readline().strip().lower() not in ("y", "yes"):
            _tell("nothing was changed")
            return 1
    print(delete(options.run, **_places(options)).summary())
    return 0


@_command(
    "log in to Google Drive in a browser, for --store drive:FOLDER",
    _argument("client_secrets", metavar="CLIENT_SECRETS", help="an OAuth client's JSON file (docs/guides/drive.md)"))
def _login(options: argparse.Namespace) -> int:
    from colab_rl.storage.drive.login import save_login

    print(f"logged in; saved for you alone in {save_login(options.client_secrets)}")
    return 0


@_command(
    "write the dashboards of one or more runs as one HTML file",
    _argument("runs", nargs="+", metavar="RUN[:CHECKPOINT]", help="runs, or one sweep"),
    _argument("--out", metavar="FILE", help="default RUN-report.html in this folder"),
    _argument("--checkpoint", default="best", metavar="WHICH", help=CHECKPOINT),
    _argument("--episodes", type=int, default=100, help="episodes behind each score; 0 leaves the scores out"),
    FUNCTION)
def _report(options: argparse.Namespace) -> int:
    from colab_rl.views.report import report

    print(report(options.runs, out=options.out, checkpoint=options.checkpoint, episodes=options.episodes,
                 env=options.env, **_places(options)))
    return 0


@_command("print all settings, and the tuned ones of each environment",
          _argument("env", nargs="?", metavar="ID", help="the tuned ones of this environment alone"), JSON)
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


@_command("measure how fast this machine trains, and recommend settings",
          _argument("--env", metavar="ID", help=ENVIRONMENT), JSON)
def _bench(options: argparse.Namespace) -> int:
    from colab_rl.commands.bench import bench

    found = bench(options.env)
    _print_json(found) if options.json else print(found.summary())
    return 0


@_command("check this machine, and name a fix for each problem", JSON)
def _doctor(options: argparse.Namespace) -> int:
    from colab_rl.commands.doctor import examine

    found = examine(**_places(options))
    _print_json(found.to_json()) if options.json else print(found.summary())
    return 1 if found.bad else 0

