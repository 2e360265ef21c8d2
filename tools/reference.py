"""Writes the pages of docs/reference/ that follow from the code: `python tools/reference.py`.

    settings.md   from the algorithms' configs and presets
    cli.md        from the command line's parser
    python.md     from the signatures and docstrings of `colab_rl.__all__`

tests/test_reference.py compares the checked-in pages with what this script writes.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import math
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[1]
sys.path.insert(0, str(HOME))

import colab_rl  # noqa: E402
from colab_rl.algorithms.registry import ALGORITHMS, OUR_ALGORITHMS  # noqa: E402
from colab_rl.cli import parser  # noqa: E402
from colab_rl.settings import Config, as_text  # noqa: E402

NAMED = "[a-z_0-9]+(?:, [a-z_0-9]+)*: "  # an argument or a field in a docstring
WRITTEN = "This page is written by `python tools/reference.py`. Do not edit it by hand."


def pages() -> dict[str, str]:
    """The text of each generated page, by file name."""
    return {"settings.md": settings(), "cli.md": command_line(), "python.md": python()}


# ---- settings ------------------------------------------------------------------------------------------------------


def settings() -> str:
    """All settings of every algorithm of ours, and the presets."""
    lines = ["# Settings", WRITTEN, "",
             "Give settings by `--set key=value ...`, by `settings={...}` in Python, or by SETTINGS in a notebook.",
             "A preset holds tuned values for one environment. Your own settings win over the preset.",
             "A setting marked `fixed` shapes the training state. A run that starts from another run keeps it.", "",
             "## Every algorithm", *settings_table(dataclasses.fields(Config))]
    common = {field.name: (field.default, field.metadata["help"]) for field in dataclasses.fields(Config)}
    for name in OUR_ALGORITHMS:
        config = ALGORITHMS[name].config_class
        fields = [field for field in dataclasses.fields(config)
                  if common.get(field.name) != (field.default, field.metadata["help"])]
        lines += ["", f"## {name}", paragraphs(inspect.getdoc(config) or ""), "", *settings_table(fields)]
    lines += ["", "## Presets"]
    for name in OUR_ALGORITHMS:
        for env_id, values in ALGORITHMS[name].presets.items():
            lines += [f"- {env_id}, {name}: " + ", ".join(f"`{key}={as_text(value)}`" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def settings_table(fields: Any) -> Iterator[str]:
    """One row for each field of a config."""
    yield "| setting | default | range | meaning |"
    yield "| --- | --- | --- | --- |"
    for field in fields:
        limits = field.metadata
        bounds = [f"{word} {limits[key]}" for key, word in (("above", "above"), ("low", "from"), ("high", "to"))
                  if math.isfinite(limits[key])]
        meaning = limits["help"] + ("; fixed" if limits["shapes_state"] else "")
        yield (f"| `{field.name}` | `{as_text(field.default)}` | {', '.join(limits['choices']) or ' '.join(bounds)} | "
               f"{escaped(meaning)} |")


# ---- the command line ----------------------------------------------------------------------------------------------


def command_line() -> str:
    """All commands and their arguments."""
    everything = parser()
    subparsers = next(action for action in everything._actions if isinstance(action, argparse._SubParsersAction))
    helps = {choice.dest: choice.help for choice in subparsers._choices_actions}
    places = [action for action in everything._actions
              if action.option_strings and not isinstance(action, argparse._HelpAction)]
    lines = ["# Command line", WRITTEN, "",
             "```text", "python -m colab_rl COMMAND ...", "```",
             "The installed program `colab-rl` is the same.", "",
             "| exit code | meaning |", "| --- | --- |", "| 0 | done |",
             "| 1 | failed; one line says what happened, what was kept and what to do |", "| 2 | wrong usage |",
             "| 130, 143 | stopped by Ctrl-C or SIGTERM, after a checkpoint |", "",
             "## Everywhere", "Each command takes these, and so does `colab_rl` before the command.", "",
             *arguments_table(places)]
    shared = {action.dest for action in places}
    for name, command in subparsers.choices.items():
        own = [action for action in command._actions
               if action.dest not in shared and not isinstance(action, argparse._HelpAction)]
        lines += ["", f"## {name}", sentence(helps[name] or ""), ""]
        lines += [*arguments_table(own)] if own else ["It takes no arguments of its own."]
    return "\n".join(lines) + "\n"


def arguments_table(actions: list[argparse.Action]) -> Iterator[str]:
    """One row for each argument."""
    yield "| argument | default | meaning |"
    yield "| --- | --- | --- |"
    for action in actions:
        metavar = action.metavar or action.dest.upper()
        many = {"+": " ...", "*": " ..."}.get(str(action.nargs), "")
        if not action.option_strings:
            shown = f"[{metavar}]" if action.nargs == "?" else metavar + many
        else:
            shown = ", ".join(action.option_strings) + ("" if action.nargs == 0 else f" {metavar}{many}")
        default = action.default
        known = default is not None and default not in (argparse.SUPPRESS, []) and action.nargs != 0
        yield f"| `{shown}` | {f'`{default}`' if known else ''} | {escaped(action.help or '')} |"


# ---- Python --------------------------------------------------------------------------------------------------------


def python() -> str:
    """The public names of `colab_rl`, and the classes that its functions return."""
    lines = ["# Python", WRITTEN, "",
             "Import each name from `colab_rl`. A shape such as (T, N) is that of a NumPy array or a tensor.", ""]
    returned: dict[str, Any] = {}
    public = {name: getattr(colab_rl, name) for name in colab_rl.__all__}
    for name, value in public.items():
        if inspect.isfunction(value):
            lines += described(name, value)
            kind = re.sub(r"^list\[(.*)\]$", r"\1", str(value.__annotations__["return"]))
            found = inspect.unwrap(value).__globals__.get(kind)
            if kind not in public and inspect.isclass(found) and found.__module__.startswith("colab_rl"):
                returned[kind] = found
    lines += ["# Classes", ""]
    for name, value in public.items():
        if inspect.isclass(value):
            lines += described(name, value)
    lines += ["# What functions return", "Read a field as `result.exact` or as `result[\"exact\"]`.", ""]
    for name, value in returned.items():
        lines += described(name, value)
    lines += ["# dashboards", "`from colab_rl import dashboards`", ""]
    for name in colab_rl.dashboards.__all__:
        lines += described(f"dashboards.{name}", getattr(colab_rl.dashboards, name))
    return "\n".join(lines).rstrip() + "\n"


def described(name: str, value: Any) -> list[str]:
    """A heading, the signature and the docstring of a function or a class with its public methods."""
    lines = [f"## {name}"]
    built = inspect.isclass(value) and issubclass(value, Exception)
    if not built and not isinstance(value, dict):
        lines += ["```text", f"{name}{signature(value)}", "```"]
    lines += [paragraphs(inspect.getdoc(value) or ""), ""]
    if inspect.isclass(value) and not built:
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_") and function.__doc__:
                summary = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
                lines += [f"- `{method}{signature(function, method=True)}`: {escaped(summary)}"]
        lines += [""] if lines[-1] else []
    return lines


def signature(value: Any, method: bool = False) -> str:
    """The arguments with their defaults, and what a function returns."""
    kinds = inspect.Parameter
    shown, starred = [], False
    for parameter in list(inspect.signature(value).parameters.values())[1 if method else 0:]:
        if parameter.kind is kinds.KEYWORD_ONLY and not starred:
            shown, starred = [*shown, "*"], True
        text = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}.get(parameter.kind, "") + parameter.name
        starred = starred or parameter.kind is kinds.VAR_POSITIONAL
        if parameter.default is not parameter.empty:
            text += f"={default_of(parameter.default)}"
        shown.append(text)
    returns = inspect.signature(value).return_annotation
    line = f"({', '.join(shown)})" + (f" -> {returns}" if isinstance(returns, str) and returns != "None" else "")
    return line if method else textwrap.fill(line, 90, subsequent_indent="    ", break_long_words=False)


def default_of(value: Any) -> str:
    """A default as the source has it, `...` for what has no short form."""
    return repr(value) if isinstance(value, (str, int, float, tuple, type(None))) else "..."


def paragraphs(doc: str) -> str:
    """A docstring as Markdown: `name: text` becomes a list item, an indented block code."""
    blocks: list[str] = []
    for block in doc.split("\n\n"):
        if block.startswith("    "):
            blocks.append("```text\n" + inspect.cleandoc(block) + "\n```")
            continue
        lines: list[str] = []
        for line in block.splitlines():
            if re.match(NAMED, line):
                lines += [f"- {text}" for text in re.split(f"(?<=[.;]) (?={NAMED})", line)]
            elif lines and (line.startswith("    ") or (not lines[-1].startswith("- ") and line)):
                lines[-1] += " " + line.strip()
            elif lines and lines[-1].startswith("- "):
                lines += ["", line]
            else:
                lines.append(line)
        lines = [re.sub(f"^- ({NAMED[:-2]}): ", r"- `\1`: ", line).rstrip(";") for line in lines]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def escaped(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("|", "\\|")


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


if __name__ == "__main__":
    for page, text in pages().items():
        (HOME / "docs" / "reference" / page).write_text(text)
