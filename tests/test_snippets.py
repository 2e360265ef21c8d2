"""Every snippet of the documents: Python runs, with trainings that are over at once; commands are parsed."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import plotly.io
import pytest
from helpers import TINY

import colab_rl
from colab_rl.algorithms.registry import default_algorithm, make_config
from colab_rl.cli import main, parser
from colab_rl.example import EXAMPLE, unpack_example
from colab_rl.settings import parse_settings
from colab_rl.training.request import DEFAULT_ENVIRONMENT

cloudpickle.register_pickle_by_value(sys.modules[__name__])
HOME = Path(__file__).parents[1]
PAGES = [HOME / "README.md", HOME / "CONTRIBUTING.md", *sorted((HOME / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (HOME / "Makefile").read_text(), re.MULTILINE))
# What begins a command; what only a person can do, or what would take long, is not looked at closer.
OTHERS = {"source", "export", "cd", "git", "pip", "colab-rl", "curl", "cat", "ls", "hf"}
CHEAP = {"status", "verify", "presets", "doctor"}


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block."""
    for block in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        yield block[2], re.sub(f"^{block[1]}", "", block[3], flags=re.MULTILINE)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command, in blocks and between backquotes; `...` stands for what a reader knows."""
    lines = [line.removeprefix("$ ") for language, text in blocks(page) if language in ("", "bash", "sh", "console")
             for line in text.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:python|make) [^`]+)`", page.read_text())
    for line in lines:
        first = line.split(maxsplit=1)[:1]
        if first in (["python"], ["make"]) or (first and first[0] in OTHERS):
            yield [word for word in shlex.split(line, comments=True) if word != "..."]


def named(page: Path) -> str:
    return page.relative_to(HOME).as_posix()


# ---- Python --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_core: None) -> dict[str, Any]:
    """What a snippet may take for granted, and trainings, evaluations and reports that are over at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    monkeypatch.setattr(plotly.io.renderers, "default", "json")
    unpack_example(tmp_path / "runs")
    for name in ("walker", "other"):
        shutil.copytree(tmp_path / "runs" / EXAMPLE, tmp_path / "runs" / name)

    def shrink(name: str, shrunk: Callable[..., dict[str, Any]]) -> None:
        function = getattr(colab_rl, name)
        monkeypatch.setattr(colab_rl, name, raising=False, value=lambda *arguments, **options: function(
            *arguments, **options | shrunk(*arguments, **options)))

    def trained(run: str, settings: Any = None, env: Any = None, algo: Any = None, **options: Any) -> dict[str, Any]:
        tiny = parse_settings(TINY)
        if algo is None and env == "BipedalWalker-v3":  # SAC's
            tiny = {**{name: value for name, value in tiny.items() if name != "update_epochs"}, "learning_starts": "32"}
        return {"root": str(tmp_path / ("trained" if run == "walker" else "runs")), "store": "none",
                "total_steps": 128, "settings": {**(settings or {}), **tiny}}

    shrink("train", trained)
    shrink("evaluate", lambda *arguments, **options: {"episodes": 1})
    shrink("report", lambda *arguments, **options: {"episodes": 1})
    shrink("sweep", lambda sweep, vary, **options: {
        "store": "none", "total_steps": 128, "settings": parse_settings(TINY), "seeds": 0, "workers": 2,
        "vary": {name: values[:1] for name, values in vary.items()}})
    colab = types.ModuleType("google.colab")
    colab.auth = types.SimpleNamespace(authenticate_user=lambda: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return {"__name__": "__main__"}


PYTHON = [page for page in PAGES if any(language == "python" for language, _ in blocks(page))]


@pytest.mark.parametrize("page", PYTHON, ids=named)
def test_every_python_snippet_runs(page, small):
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, named(page), "exec"), small)


# ---- commands ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_is_one_that_there_is(page):
    for words in commands(page):
        if words[:3] == ["python", "-m", "colab_rl"] or words[0] == "colab-rl":
            given = parser().parse_args(words[3 if words[0] == "python" else 1:])
            if getattr(given, "set", None):
                algorithm = given.algo or default_algorithm(getattr(given, "env", None) or DEFAULT_ENVIRONMENT)
                make_config(algorithm, parse_settings(given.set))
        elif words[0] == "python" and words[1] != "-m":
            assert (HOME / words[1]).is_file(), words
        elif words[0] == "make":
            assert TARGETS.issuperset(word for word in words[1:] if "=" not in word), words
        else:
            assert words[0] in OTHERS or words[:2] == ["python", "-m"], words


def test_the_cheap_commands_of_the_readme_succeed(small, capsys):
    ran = set()
    for words in commands(HOME / "README.md"):
        if words[:3] == ["python", "-m", "colab_rl"] and words[3] in CHEAP:
            assert main(words[3:]) == 0, words
            ran.add(words[3])
    assert ran == CHEAP
    assert "walker: BipedalWalker-v3" in capsys.readouterr().out
