"""Names of files in a storage, and folders' names as people see them."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Container, Iterable, Sequence


def check_name(name: str) -> None:
    """Raises ValueError if a name could lead out of the storage, or holds a character that is none."""
    if not {"", ".", ".."}.isdisjoint(name.split("/")) or any(unicodedata.category(c) in ("Cc", "Cs") for c in name):
        raise ValueError(f"not a file name for a storage: {name!r}")


def bad_name(name: str, taken: Container[str]) -> str:
    """What a damaged file is renamed to: `NAME.bad`, `NAME.2.bad` ..., the first that is not taken."""
    numbered = (f"{name}.{number}.bad" for number in itertools.count(2))
    return next(free for free in itertools.chain([f"{name}.bad"], numbered) if free not in taken)


def same_looking(names: Iterable[str], wanted: str) -> Sequence[str]:
    """Those of the names that are the wanted one; if none is, those that look like it to a person.

    A Mac decomposes accents (Unicode NFD). Nobody sees a space at the end, or which way a space, a dash between
    syllables or an emoji is coded.
    """
    names = list(names)
    return [name for name in names if name == wanted] or [name for name in names if _look(name) == _look(wanted)]


def _look(name: str) -> str:
    shown = "".join(character for character in unicodedata.normalize("NFC", name)
                    if unicodedata.category(character) != "Cf" and not "\ufe00" <= character <= "\ufe0f")
    return " ".join(shown.split())
