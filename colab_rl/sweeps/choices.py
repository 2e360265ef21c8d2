"""What a person says of a sweep's seeds and settings, as text or as Python values."""

from __future__ import annotations

import dataclasses
import itertools
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colab_rl.errors import UsageError

MOST_SEEDS = 10_000
Said = Mapping[str, Any] | Sequence[str]  # `{"gamma": [0.98, 0.99]}`, `{"gamma": "0.98,0.99"}` or `["gamma=0.98,0.99"]`


@dataclass(frozen=True)
class Range:
    """Every number from low to high; log: even in its logarithm."""

    low: float
    high: float
    log: bool = False

    @property
    def middle(self) -> float:
        """The mean of low and high, of their logarithms if `log`. A whole number between whole numbers."""
        middle = math.sqrt(self.low) * math.sqrt(self.high) if self.log else (self.low + self.high) / 2
        return round(middle) if isinstance(self.low, int) and isinstance(self.high, int) else middle

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}{':log' if self.log else ''}"


def parse_seeds(said: str | int | Sequence[int]) -> tuple[int, ...]:
    """`0-4`, `0,3,7-9`, a number or numbers, in their order. Raises UsageError for anything else, and for none."""
    found: list[int] = []
    if isinstance(said, str):
        for part in said.split(","):
            match = re.fullmatch(r"\s*(\d{1,10})\s*(?:-\s*(\d{1,10})\s*)?", part)
            first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if first > last:
                raise UsageError(f"seeds are numbers and ranges such as 0-4 or 0,3,7-9, not {said!r}")
            if last - first >= MOST_SEEDS:
                raise UsageError(f"{last - first + 1:,} seeds are too many: give {MOST_SEEDS:,} at most")
            found += range(first, last + 1)
    elif isinstance(said, Sequence):
        found += said  # type: ignore[arg-type]  # mypy takes it for text too
    else:
        found.append(said)
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**31:
            raise UsageError(f"a seed is a whole number between 0 and {2**31 - 1}, not {seed}")
    found = [int(seed) for seed in found]  # NumPy's too
    if not found or len(set(found)) < len(found):
        raise UsageError(f"seeds are one or more different numbers, not {said!r}")
    return tuple(found)


def seeds_to_text(seeds: Sequence[int]) -> str:
    """Seeds as `parse_seeds` reads them: `0-4,7`."""
    found = []
    for _, part in itertools.groupby(enumerate(seeds), lambda place_and_seed: place_and_seed[1] - place_and_seed[0]):
        inner = [seed for _, seed in part]
        found.append(f"{inner[0]}-{inner[-1]}" if len(inner) > 1 else str(inner[0]))
    return ",".join(found)


def parse_vary(said: Said) -> dict[str, list[Any]]:
    """The values of each setting of a grid.

    A value with commas stands in brackets: `hidden_sizes=[64,64],[128,128]`.
    """
    found: dict[str, list[Any]] = {}
    for name, value in _pairs(said, "vary", "key=v1,v2"):
        values = _split(value) if isinstance(value, str) else _listed(value, name)
        if not values or any(isinstance(one, str) and not one for one in values):
            raise UsageError(f"vary gives {name} no value, or an empty one: {value!r}")
        if len({repr(one) for one in values}) < len(values):
            raise UsageError(f"vary gives {name} the same value twice: {value!r}")
        found[name] = values
    return found


def parse_search(said: Said) -> dict[str, Range | list[Any]]:
    """What a search may choose for each setting: a range `low:high[:log]`, or values as in `parse_vary`.

    In Python a tuple `(low, high)` or `(low, high, "log")` is a range, and a list holds values.
    """
    found: dict[str, Range | list[Any]] = {}
    for name, value in _pairs(said, "search", "key=low:high[:log] or key=v1,v2"):
        if isinstance(value, Range):
            found[name] = value
        elif isinstance(value, tuple):
            found[name] = _range(name, [str(part) for part in value], value)
        elif isinstance(value, str) and re.match(r"\s*[-+]?[0-9.]+(e[-+]?[0-9]+)?\s*:", value, re.IGNORECASE):
            found[name] = _range(name, value.split(":"), value)
        else:
            found[name] = parse_vary({name: value})[name]
    return found


def space_to_json(space: Mapping[str, Range | list[Any]]) -> dict[str, Any]:
    """As plain JSON values; `space_from_json` reads it back."""
    return {name: dataclasses.asdict(one) if isinstance(one, Range) else one for name, one in space.items()}


def space_from_json(content: Mapping[str, Any]) -> dict[str, Range | list[Any]]:
    """See `space_to_json`."""
    return {name: Range(**one) if isinstance(one, dict) else one for name, one in content.items()}


def _pairs(said: Said, option: str, form: str) -> list[tuple[str, Any]]:
    if isinstance(said, Mapping):
        return [(str(name), value) for name, value in said.items()]
    pairs = []
    for assignment in said:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UsageError(f"--{option} takes {form}, not {assignment!r}")
        pairs.append((name.strip(), value.strip()))
    if len(dict(pairs)) < len(pairs):
        raise UsageError(f"--{option} names a setting twice: {' '.join(said)}")
    return pairs


def _split(text: str) -> list[str]:
    """At commas, but not at those in brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth = max(0, depth + (letter in "([{") - (letter in ")]}"))
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _listed(value: Any, name: str) -> list[Any]:
    if not isinstance(value, Sequence):
        raise UsageError(f"vary takes a list of values for {name}, not {value!r}")
    return list(value)


def _range(name: str, parts: Sequence[str], said: Any) -> Range:
    try:
        low, high = float(parts[0]), float(parts[1])
        if len(parts) > 3 or parts[2:] not in ([], ["log"]) or not math.isfinite(low) or not math.isfinite(high):
            raise ValueError
    except (ValueError, IndexError):
        raise UsageError(f"search takes low:high or low:high:log for {name}, not {said!r}") from None
    log = len(parts) == 3
    if low >= high or (log and low <= 0):
        what = "low must be above 0 for log" if low < high else "low must be less than high"
        raise UsageError(f"search of {name} from {low:g} to {high:g}: {what}")
    return Range(low, high, log)
