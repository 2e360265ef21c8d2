"""Commands and their arguments, entered by `@command`, and hints for words that no command takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from colab_rl.cli.streams import tell
from colab_rl.errors import near, nearest

Handler = Callable[[argparse.Namespace], int]
Argument = tuple[tuple[str, ...], dict[str, Any]]
COMMANDS: dict[str, tuple[Handler, str, tuple[Argument, ...]]] = {}


def argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as `add_argument` takes it."""
    return names, options


def command(help: str, *arguments: Argument) -> Callable[[Handler], Handler]:
    """Makes a function the command of its name."""
    def added(function: Handler) -> Handler:
        COMMANDS[function.__name__.strip("_")] = function, help, arguments
        return function

    return added


class Help(argparse.HelpFormatter):
    """Names the default of an option whose help does not."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        telling = isinstance(action.default, str | int | float) and not isinstance(action.default, bool)
        if not telling or action.default == argparse.SUPPRESS or not action.help or "default" in action.help:
            return action.help
        return f"{action.help} (default {action.default})"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        asked = re.match(r"argument COMMAND: invalid choice: '(.*?)'", message)
        if asked:
            message = f"no command {asked[1]!r}{nearest(asked[1], COMMANDS)} (there are: {', '.join(COMMANDS)})"
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    # Before or after the command: SUPPRESS keeps the second parser from undoing what the first one read.
    places = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    places.add_argument("--root", metavar="DIR", help="this machine's runs (default $COLAB_RL_ROOT, else runs)")
    places.add_argument("--store", metavar="PLACE", help="where checkpoints go beyond this machine: a folder, "
                        "drive:FOLDER, or none (default $COLAB_RL_STORE, else on Colab the mounted Drive's colab_rl "
                        "folder)")
    parser = Parser(prog="python -m colab_rl", parents=[places], description="Train, understand and show a "
                                     "reinforcement-learning policy.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (function, help, arguments) in COMMANDS.items():
        command = commands.add_parser(name, parents=[places], help=help, description=help, formatter_class=Help)
        command.set_defaults(command=function, command_name=name)
        for names, options in arguments:
            command.add_argument(*names, **options)
    return parser


def refuse(options: argparse.Namespace, unknown: Sequence[str]) -> NoReturn:
    """Says what to give in place of words that no command takes, and leaves with 2."""
    name = options.command_name
    words = " ".join(unknown)
    seed = getattr(options, "seed", None)
    if name == "train" and seed is not None and all(word.isdigit() for word in unknown):
        seeds = ",".join(map(str, (seed, *unknown)))
        words += f"; a run has one seed; train a sweep for several: sweep {options.run} --seeds {seeds}"
    elif unknown[0].startswith("--"):
        words += _hint(name, *unknown)
    tell(f"error: unrecognized arguments: {words}; see python -m colab_rl {name} --help")
    raise SystemExit(2)


def _hint(name: str, option: str, *values: str) -> str:
    """What may have been meant by an option that a command does not have: a setting, or an option like it."""
    from colab_rl.algorithms.registry import OTHER_NAMES, OUR_ALGORITHMS, settings_of

    word, _, value = option.removeprefix("--").partition("=")
    setting = word.replace("-", "_")
    takes_settings = any("--set" in names for names, _ in COMMANDS[name][2])
    is_setting = any(setting in settings_of(algorithm) for algorithm in OUR_ALGORITHMS)
    options = [one[2:] for names, _ in COMMANDS[name][2] for one in names if one.startswith("--")]
    meant = ["env-set"] if "kwargs" in word and "env-set" in options else near(word, [*options, "root", "store"])
    if meant and not (takes_settings and is_setting):
        return f"; did you mean --{meant[0]}?"
    given = value or " ".join(values[:1]) or "VALUE"
    named = OTHER_NAMES.get(setting, (setting,))[0]
    return f"; is it a setting? Then --set {named}={given}" if takes_settings else ""
