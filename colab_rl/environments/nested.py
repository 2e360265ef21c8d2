"""Spaces of every kind as flat rows: what an environment observes goes into one row, and an action comes out of one.

    observed = Observed(environment.observation_space)
    observed.write(observation, row)                    # row: observed.spec.zeros()
    environment.step(acted(environment.action_space, row))

Numbers lie as `gymnasium.spaces.utils.flatten` lays them: the parts of a Dict or Tuple one after the other, a Discrete
as one-hot. Images (Boxes of uint8 with 2 to 4 dimensions) stay as they are. See ObservationSpec for what a row is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from colab_rl.environments.spaces import VECTOR, ObservationSpec, Part

LEAVES = (Box, Discrete, MultiDiscrete, MultiBinary)
Path = tuple[Any, ...]  # of keys of Dicts and places in Tuples


class NotFlat(ValueError):
    """A space without a fixed number of values. Its text names the space's kind."""


def leaves(space: gymnasium.Space, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The spaces inside of Dicts and Tuples, each with its path, in flatten's order. Raises NotFlat."""
    if isinstance(space, Dict):
        for key, inner in space.spaces.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(space, Tuple):
        for place, inner in enumerate(space.spaces):
            yield from leaves(inner, (*path, place))
    elif isinstance(space, LEAVES):
        yield path, space
    else:
        raise NotFlat(type(space).__name__)


def is_image(space: gymnasium.Space) -> bool:
    """Whether it is kept as it is: H x W, H x W x C, C x H x W, or a stack of those."""
    return isinstance(space, Box) and space.dtype == np.uint8 and 2 <= len(space.shape) <= 4


def in_line(space: gymnasium.Space) -> str:
    """A space in words: those of a long Box have several lines."""
    return " ".join(str(space).split())


def is_cut_off(image: Any) -> bool:
    """Whether an image is of floats, of which uint8 keeps whole numbers alone, or holds numbers beyond 0 to 255."""
    array = np.asarray(image)
    return array.dtype.kind == "f" or (array.dtype.kind in "iu" and array.dtype != np.uint8 and array.size > 0
                                       and bool(array.min() < 0 or array.max() > 255))


class Observed:
    """How an observation of a space becomes a row. Raises NotFlat for a space that has none.

    strict: whether `write` refuses images whose numbers uint8 would cut off too. It takes time at each step.
    spec: of the row. as_it_is: whether an observation is an array of the row's shape.
    write: fills a (*spec.shape,) row with an observation. Raises TypeError, ValueError or LookupError for what is not
        of the space.
    """

    def __init__(self, space: gymnasium.Space, strict: bool = False):
        found = list(leaves(space))
        names = {VECTOR}  # taken ones: a key of the environment may be one
        images = []
        for path, leaf in found:
            if is_image(leaf):
                name = "/".join(map(str, path))
                while name in names:
                    name += " (image)"
                names.add(name)
                images.append((name, path, leaf))
        self._numbers = [(path, leaf) for path, leaf in found if not is_image(leaf)]
        self._ends = np.cumsum([0, *(width(leaf) for _, leaf in self._numbers)])
        self._images = [(name, path) for name, path, _ in images]
        length, alone = int(self._ends[-1]), isinstance(space, Box)
        if self._images and (length or len(self._images) > 1):
            vector = (Part(VECTOR, (length,), "float32"),) if length else ()
            pictures = [Part(name, leaf.shape, "uint8") for name, _, leaf in images]
            self.spec = ObservationSpec.packed((*vector, *pictures))
        elif self._images:
            self.spec = ObservationSpec(images[0][2].shape, "uint8")
        else:
            self.spec = ObservationSpec((length,))
        # An observation that needs no more than to be copied is copied in one call.
        self.as_it_is = alone and (bool(images) or len(space.shape or ()) == 1)
        self.write = self._write_strictly if strict else _copy if self.as_it_is else self._write

    def _write_strictly(self, observation: Any, row: np.ndarray) -> None:
        if any(is_cut_off(_at(observation, path)) for _, path in self._images):
            raise ValueError
        (_copy if self.as_it_is else self._write)(observation, row)

    def _write(self, observation: Any, row: np.ndarray) -> None:
        images = self.spec.unpack(row) if self.spec.parts else {name: row for name, _ in self._images}
        for name, path in self._images:
            _copy(_at(observation, path), images[name])
        numbers = self.spec.numbers(row)
        for (path, leaf), start, end in zip(self._numbers, self._ends, self._ends[1:], strict=False):
            write_numbers(leaf, _at(observation, path), numbers[start:end])


def acted(space: gymnasium.Space, row: np.ndarray) -> Any:
    """The action of a space from the (n,) numbers of all its leaves, each as the environment counts it; of (B, n), a
    batch as Gymnasium's vector environments take it. Arrays are new ones, which the environment may keep.
    """
    if isinstance(space, Dict | Tuple):
        inside = list(space.spaces.values() if isinstance(space, Dict) else space.spaces)
        sizes = [sum(count(leaf) for _, leaf in leaves(one)) for one in inside]
        values = map(acted, inside, np.split(row, np.cumsum(sizes)[:-1], axis=-1))
        return dict(zip(space.spaces, values, strict=True)) if isinstance(space, Dict) else tuple(values)
    dtype = np.dtype(space.dtype)
    if isinstance(space, Discrete):
        return row[..., 0].astype(dtype)[()]
    taken = np.array(row, dtype).reshape((*row.shape[:-1], *(space.shape or ())))
    if isinstance(space, Box) and dtype.itemsize > 4:  # a policy's bounds are these, rounded to float32
        np.clip(taken, space.low, space.high, out=taken)  # into it: of shape () NumPy would make a number, no array
    return taken


def choices_of(space: Any) -> tuple[list[int], list[int]]:
    """How many choices each discrete value of a leaf has, and the first of each."""
    if isinstance(space, Discrete):
        return [int(space.n)], [int(space.start)]
    if isinstance(space, MultiBinary):
        return [2] * count(space), [0] * count(space)
    return space.nvec.ravel().tolist(), space.start.ravel().tolist()


def outline(space: gymnasium.Space) -> Any:
    """What run.json keeps of a space, so that `from_outline` makes one of the same form. Boxes lose their bounds."""
    if isinstance(space, Dict):
        return {"Dict": [[key, outline(inner)] for key, inner in space.spaces.items()]}
    if isinstance(space, Tuple):
        return {"Tuple": [outline(inner) for inner in space.spaces]}
    if isinstance(space, Discrete):
        return {"Discrete": [int(space.n), int(space.start), str(space.dtype)]}
    if isinstance(space, MultiDiscrete):
        return {"MultiDiscrete": [space.nvec.tolist(), space.start.tolist(), str(space.dtype)]}
    return {type(space).__name__: [list(space.shape or ()), str(space.dtype)]}


def from_outline(saved: Mapping[str, Any]) -> gymnasium.Space:
    """A space of the form that `outline` was given."""
    [(kind, content)] = saved.items()
    if kind == "Dict":
        return Dict([(key, from_outline(inner)) for key, inner in content])
    if kind == "Tuple":
        return Tuple([from_outline(inner) for inner in content])
    if kind == "Discrete":
        return Discrete(content[0], start=content[1], dtype=content[2])
    if kind == "MultiDiscrete":
        return MultiDiscrete(np.array(content[0]), start=np.array(content[1]), dtype=content[2])
    if kind == "MultiBinary":
        return MultiBinary(content[0])
    dtype: Any = np.dtype(content[1])
    least, most = (-np.inf, np.inf) if dtype.kind == "f" else (0, 1) if dtype.kind == "b" else \
        (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return Box(least, most, tuple(content[0]), dtype.type)


def width(space: Any) -> int:
    """Numbers of a leaf in a flat observation."""
    return sum(choices_of(space)[0]) if isinstance(space, Discrete | MultiDiscrete) else count(space)


def count(space: Any) -> int:
    """Values of a leaf, as they lie in a flat action."""
    return 1 if isinstance(space, Discrete) else math.prod(space.shape)


def _at(observation: Any, path: Path) -> Any:
    for key in path:
        observation = observation[key]
    return observation


def _copy(value: Any, place: np.ndarray) -> None:
    # NumPy would copy a single number into every place. Its own `shape` is looked at first: np.shape is slow.
    if getattr(value, "shape", None) != place.shape and np.shape(value) != place.shape:
        raise ValueError
    place[...] = value


def write_numbers(space: Any, value: Any, place: np.ndarray) -> None:
    """Fills (width(space),) numbers with the value of a leaf. Raises TypeError or ValueError for what is none."""
    if isinstance(space, Box | MultiBinary):
        _copy(value, place.reshape(space.shape))
        return
    counts, firsts = (np.array(numbers) for numbers in choices_of(space))
    chosen = np.asarray(value)
    if chosen.shape != (space.shape or ()) or chosen.dtype.kind not in "iub":
        raise ValueError
    chosen = chosen.ravel().astype(np.int64) - firsts
    if not ((chosen >= 0) & (chosen < counts)).all():
        raise ValueError
    place[...] = 0
    place[np.cumsum(counts) - counts + chosen] = 1


def batched(space: gymnasium.Space, observations: Any) -> Sequence[Any]:
    """The observations of a batch, whose leaves have a dimension in front, as Gymnasium's vector environments give it.

    Raises TypeError, ValueError, LookupError for what is none.
    """
    parts = [(path, np.asarray(_at(observations, path))) for path, _ in leaves(space)]
    [count] = {len(part) for _, part in parts}

    def nth(inner: gymnasium.Space, batch: Any, i: int) -> Any:
        if isinstance(inner, Dict):
            return {key: nth(one, batch[key], i) for key, one in inner.spaces.items()}
        if isinstance(inner, Tuple):
            return tuple(nth(one, batch[place], i) for place, one in enumerate(inner.spaces))
        return np.asarray(batch[i]) if isinstance(inner, Box) else batch[i]  # an array of shape () too

    return [nth(space, observations, i) for i in range(count)]
