"""What of a definition counts, and what does not."""

from __future__ import annotations

import ast
import textwrap

import pytest

from colab_rl.fingerprint import hashes_of

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
    "imports for annotations": ("if TYPE_CHECKING:\n        from collections.abc import Sequence\n", ""),
    "an error's text": ("clip is {clip}", "clip must not be {clip}"),
    "an assertion's text": ('"negative"', '"below 0"'),
    "a help text": ('"how many steps"', '"the number of steps"'),
    "the order of definitions": ('SCALE: float = 0.5\n    NAMES = ("a", "b")\n',
                                 'NAMES = ("a", "b")\n    SCALE: float = 0.5\n'),
    "the names that it hands on": ("SCALE", '__all__ = ["loss"]\n    SCALE'),
}


def definitions(source: str) -> list[str]:
    return sorted(hashes_of(ast.parse(textwrap.dedent(source))))


@pytest.mark.parametrize("change", COUNTS)
def test_what_computes_counts(change):
    before, after = COUNTS[change]
    assert before in SOURCE
    assert definitions(SOURCE.replace(before, after)) != definitions(SOURCE)


@pytest.mark.parametrize("change", DOES_NOT)
def test_how_it_is_written_does_not_count(change):
    before, after = DOES_NOT[change]
    assert before in SOURCE
    assert definitions(SOURCE.replace(before, after)) == definitions(SOURCE)


def test_the_order_of_methods_does_not_count():
    first, second = SOURCE.index("        def first"), SOURCE.index("        def second")
    end = SOURCE.index("    def loss")
    swapped = SOURCE[:first] + SOURCE[second:end] + SOURCE[first:second] + SOURCE[end:]
    assert definitions(swapped) == definitions(SOURCE)
