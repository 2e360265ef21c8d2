"""What of a source file counts as code that trains, and which files a training reaches."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

import colab_rl
from colab_rl.training.code.files import ASIDE, FOLLOWED, reached, read_file

PACKAGE = Path(colab_rl.__file__).parent

SOURCE = '''
    """A module."""

    import math
    from dataclasses import dataclass
    from typing import TYPE_CHECKING

    from colab_rl.settings import setting

    if TYPE_CHECKING:
        from collections.abc import Sequence

    SCALE: float = 0.5
    NAMES = ("a", "b")

    @dataclass(frozen=True)
    class Config:
        """Settings."""

        rate: float
        size: float
        steps: int = setting(3, "how many steps", low=1)

        def first(self) -> float:
            """The first."""
            return self.rate

        def second(self) -> float:
            return 2 * self.rate  # twice

    def loss(error: float, weight=0.5, *, clip=None) -> float:
        """The loss."""
        scaled: float = weight * error
        if clip is not None and clip < 0:
            raise ValueError(f"clip is {clip}")
        assert weight >= 0, "negative"
        return math.log(1 + scaled) ** 2
'''

COUNTS = {
    "a constant": ("SCALE: float = 0.5", "SCALE: float = 0.6"),
    "the type of a number": ("** 2", "** 2.0"),
    "a text": ('("a", "b")', '("a", "c")'),
    "an operator": ("1 + scaled", "1 - scaled"),
    "a default": ("weight=0.5", "weight=0.6"),
    "a default by name": ("clip=None", "clip=1"),
    "a condition": ("clip < 0", "clip <= 0"),
    "an error's type": ("raise ValueError", "raise KeyError"),
    "a method": ("2 * self.rate", "3 * self.rate"),
    "a decorator": ("frozen=True", "frozen=False"),
    "a setting's default": ("setting(3,", "setting(4,"),
    "a setting's limit": ("low=1", "low=2"),
    "a field without a default": ("rate: float\n", "rate: float\n        more: float\n"),
    "the order of fields": ("rate: float\n        size: float", "size: float\n        rate: float"),
    "a definition more": ("SCALE", "OTHER = 1\n    SCALE"),
    "a definition less": ('NAMES = ("a", "b")', ""),
    "what it says after a string": ('"""The loss."""', '"""The loss."""\n        error = error + 1'),
}
DOES_NOT = {
    "nothing": ("", ""),
    "a comment": ("# twice", "# two times"),
    "a docstring": ('"""The loss."""', '"""Another text."""'),
    "no docstring": ('        """The first."""\n', ""),
    "a module's docstring": ('"""A module."""', ""),
    "formatting": ("(error: float, weight=0.5, *, clip=None)", "(\n      error:float, weight = .5,\n    *,clip=None,)"),
    "quotes": ('("a", "b")', "('a', 'b')"),
    "an annotation of a constant": ("SCALE: float", "SCALE"),
    "an annotation of an argument": ("error: float", "error: int"),
    "an annotation of a result": ("clip=None) -> float", "clip=None)"),
    "an annotation of a local name": ("scaled: float =", "scaled ="),
    "a name that is only annotated": ("scaled: float", "more: int\n        scaled: float"),
    "an import": ("import math", "import math, sys"),
    "an import for annotations": ("import Sequence", "import Mapping"),
    "an error's text": ("clip is {clip}", "clip must not be {clip}"),
    "an assertion's text": ('"negative"', '"below 0"'),
    "a help text": ('"how many steps"', '"the number of steps"'),
    "the order of definitions": ('SCALE: float = 0.5\n    NAMES = ("a", "b")\n',
                                 'NAMES = ("a", "b")\n    SCALE: float = 0.5\n'),
    "the names that it hands on": ("SCALE", '__all__ = ["loss"]\n    SCALE'),
}


def definitions(folder: Path, source: str) -> list[str]:
    (folder / "module.py").write_text(textwrap.dedent(source))
    read_file.cache_clear()
    return sorted(read_file(folder / "module.py", 0, "module").definitions)


@pytest.mark.parametrize("change", COUNTS)
def test_what_computes_counts(tmp_path, change):
    before, after = COUNTS[change]
    assert before in SOURCE
    assert definitions(tmp_path, SOURCE.replace(before, after)) != definitions(tmp_path, SOURCE)


@pytest.mark.parametrize("change", DOES_NOT)
def test_how_it_is_written_does_not_count(tmp_path, change):
    before, after = DOES_NOT[change]
    assert before in SOURCE
    assert definitions(tmp_path, SOURCE.replace(before, after)) == definitions(tmp_path, SOURCE)


def test_the_order_of_methods_does_not_count(tmp_path):
    first, second = SOURCE.index("        def first"), SOURCE.index("        def second")
    end = SOURCE.index("    def loss")
    swapped = SOURCE[:first] + SOURCE[second:end] + SOURCE[first:second] + SOURCE[end:]
    assert definitions(tmp_path, swapped) == definitions(tmp_path, SOURCE)


def test_every_file_of_the_package_can_be_read_and_every_name_that_is_left_aside_is_there():
    names = {part.removesuffix(".py") for path in PACKAGE.rglob("*.py") for part in path.relative_to(PACKAGE).parts}
    assert {*FOLLOWED, *ASIDE} <= names
    for path in PACKAGE.rglob("*.py"):
        assert read_file(path, 0, "module")


def test_a_users_own_files_are_reached_by_their_imports_and_installed_ones_are_not(tmp_path, monkeypatch):
    files = {"own_physics/__init__.py": "from .bodies import Body\n", "own_physics/bodies.py": "class Body: pass\n",
             "own_physics/unused.py": "ONE = 1\n", "own_physics/deep/__init__.py": "",
             "own_physics/deep/wheel.py": "from .. import joints\nfrom ...elsewhere import nothing\n",
             "own_physics/joints.py": "import numpy\nfrom torch import nn\n",
             "own_walker.py": "import own_physics.deep.wheel as wheel\nimport own_helper\n",
             "own_helper.py": "import own_walker\nimport missing_module\n"}
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    assert set(reached(["own_walker"])) == {
        "own_walker", "own_helper", "own_physics", "own_physics.bodies", "own_physics.deep", "own_physics.deep.wheel",
        "own_physics.joints"}
    assert not set(reached(["own_walker"])) & set(__import__("sys").modules)  # nothing was imported for it


def test_a_file_that_changes_is_read_again(tmp_path, monkeypatch):
    path = tmp_path / "own_walker.py"
    monkeypatch.syspath_prepend(tmp_path)
    path.write_text("SPEED = 1\n")
    first = reached(["own_walker"])
    path.write_text("SPEED = 2\n")
    assert reached(["own_walker"]) != first
