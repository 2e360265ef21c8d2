"""What an environment looks like from outside.

An observation is kept in one of three forms, and each is one array from the environment to the minibatch:

| the environment has | `ObservationSpec` |
| --- | --- |
| no image: Box, Discrete, MultiDiscrete, MultiBinary, Dict and Tuple of them | `((n,), "float32")`, flat |
| one image and nothing else: a Box of uint8 with 2 to 4 dimensions | `((96, 96, 3), "uint8")`, as it is |
| images, and numbers or other images | `((nbytes,), "uint8", parts)`, packed: one row of bytes |

`unpack` gives the parts of packed rows by name. nested.py makes these rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

VECTOR = "vector"  # the part of a packed row that holds all its float32 numbers


class Part(NamedTuple):
    """A part of a packed observation: `vector`, or an image by its place in the space, such as `robot/camera`."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of it."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class ObservationSpec:
    """How one observation is kept, from the environment to the minibatch: see the module.

    parts: of a packed row, in their order. The vector is first, since float32 numbers need an address that 4 divides.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    parts: tuple[Part, ...] = ()

    @classmethod
    def packed(cls, parts: tuple[Part, ...]) -> ObservationSpec:
        """Of these parts. Zeros at the end make the length of a row a multiple of 4."""
        return cls((-(-sum(part.nbytes for part in parts) // 4) * 4,), "uint8", parts)

    def zeros(self, *leading: int) -> np.ndarray:
        """(*leading, *shape) zeros, for so many observations."""
        return np.zeros((*leading, *self.shape), self.dtype)

    def unpack(self, rows: Any) -> dict[str, Any]:
        """By name the (..., *part.shape) parts of (..., nbytes) rows, an array or a tensor: views, not copies.

        Empty if the rows are not packed. A network of packed observations begins with it. What is unpacked already
        stays as it is: a Q network gets parts, with the actions among the numbers.
        """
        if isinstance(rows, dict):
            return dict(rows)
        found, start = {}, 0
        for part in self.parts:
            taken = rows[..., start:start + part.nbytes]
            if part.dtype == "float32":
                taken = taken.view(np.float32 if isinstance(rows, np.ndarray) else _torch_float32())
            found[part.name] = taken.reshape(*rows.shape[:-1], *part.shape)
            start += part.nbytes
        return found

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """(..., n) the float32 numbers of rows, a view; (..., 0) of an image."""
        if self.dtype == "float32":
            return rows
        leading = rows.shape[:rows.ndim - len(self.shape)]
        return self.unpack(rows).get(VECTOR, np.zeros((*leading, 0), np.float32))

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        parts = {"parts": [[name, list(shape), dtype] for name, shape, dtype in self.parts]} if self.parts else {}
        return {"shape": list(self.shape), "dtype": self.dtype, **parts}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> ObservationSpec:
        """What `to_json` gave."""
        return cls(tuple(saved["shape"]), saved.get("dtype", "float32"),
                   tuple(Part(name, tuple(shape), dtype) for name, shape, dtype in saved.get("parts", ())))


def _torch_float32() -> Any:
    import torch  # worker processes do not load it

    return torch.float32


@dataclass(frozen=True)
class Spaces:
    """The observations and the action space of one environment.

    observation: how an observation is kept.
    discrete: whether an action is chosen: one of `action_dim` choices, counted from `first_action`, or, if there are
        `choices`, one of each of `action_dim` lists of choices. Else it is a vector of `action_dim` numbers.
    action_low, action_high: (action_dim,) float32 bounds of continuous actions, empty otherwise.
    sample_dtype: of what the environment's action space samples; empty for `action_dtype`.
    sample_low, sample_high: its bounds of continuous actions, if float32 does not hold them; else empty.
    code: what the environment is made of in this process, see loaded_code.
    choices, first_choices: how many each list has, and the number of its first.
    observation_space, action_space: what nested.outline keeps of the environment's own, if what it gives or takes is no
        array of the shape of `observation` and `action_shape`; else None.
    """

    observation: ObservationSpec
    discrete: bool
    action_dim: int
    first_action: int
    action_low: np.ndarray
    action_high: np.ndarray
    code: Mapping[str, str] = field(default_factory=dict, repr=False)
    sample_dtype: str = ""
    sample_low: tuple[float, ...] = ()
    sample_high: tuple[float, ...] = ()
    choices: tuple[int, ...] = ()
    first_choices: tuple[int, ...] = ()
    observation_space: Any = None
    action_space: Any = None

    @property
    def action_shape(self) -> tuple[int, ...]:
        """Shape of one action: () for one choice, (action_dim,) otherwise."""
        return () if self.discrete and not self.choices else (self.action_dim,)

    @property
    def action_dtype(self) -> type:
        """int64 if discrete, float32 otherwise."""
        return np.int64 if self.discrete else np.float32

    def to_json(self) -> dict[str, Any]:
        """What run.json keeps of them. A bound is None if there is none."""
        low, high = ([number if math.isfinite(number) else None for number in bounds.tolist()]
                     for bounds in (self.action_low, self.action_high))
        return {"observation": self.observation.to_json(), "discrete": self.discrete, "action_dim": self.action_dim,
                "first_action": self.first_action, "action_low": low, "action_high": high,
                "sample_dtype": self.sample_dtype, "sample_low": list(self.sample_low),
                "sample_high": list(self.sample_high), "choices": list(self.choices),
                "first_choices": list(self.first_choices), "observation_space": self.observation_space,
                "action_space": self.action_space}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Spaces | None:
        """Those that run.json has kept, None if it lacks some of them, as the first runs of 0.1.0 do."""
        if not {"first_action", "action_low", "action_high"} <= set(saved):
            return None
        low, high = ([sign * math.inf if number is None else number for number in saved[name]]
                     for name, sign in (("action_low", -1), ("action_high", 1)))
        return cls(ObservationSpec.from_json(saved.get("observation") or {"shape": [saved["obs_dim"]]}),
                   saved["discrete"], saved["action_dim"], saved["first_action"], np.array(low, np.float32),
                   np.array(high, np.float32), sample_dtype=saved.get("sample_dtype", ""),
                   sample_low=tuple(saved.get("sample_low", ())), sample_high=tuple(saved.get("sample_high", ())),
                   choices=tuple(saved.get("choices", ())), first_choices=tuple(saved.get("first_choices", ())),
                   observation_space=saved.get("observation_space"), action_space=saved.get("action_space"))

    def same_as(self, saved: Mapping[str, Any]) -> bool:
        """Whether they are those that run.json has kept.

        Version 0.1.0 kept the length of a flat observation, and its first runs no bounds.
        """
        if "obs_dim" in saved:
            saved = {**saved, "observation": ObservationSpec((saved["obs_dim"],)).to_json()}
        return all(saved.get(name, value) == value for name, value in self.to_json().items())
