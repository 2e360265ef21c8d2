"""Past experience, in a ring of preallocated arrays.

A row is one time step of all N environments, and the row after it holds the observations that followed:
none is stored twice. If an episode ended, the next row holds its final observations and is no
transition, for those environments (Gymnasium's NEXT_STEP autoreset).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colab_rl.environments.spaces import Spaces

NOTHING, TRANSITION, TERMINAL = range(3)  # what an environment did in a row: only reset, continue, terminate


class Minibatch(NamedTuple):
    """B transitions; with a dimension in front, G minibatches of as many."""

    obs: Tensor         # (B, *obs_shape)
    actions: Tensor     # (B, A) float32, or (B,) or (B, A) int64 choices, in the policy's unit
    rewards: Tensor     # (B,) float32
    terminated: Tensor  # (B,) bool
    next_obs: Tensor    # (B, *obs_shape)


class ReplayBuffer:
    """The newest rows of N environments, `size // N` at most. Rows are numbered from the run's beginning.

    first, end: the rows that are held are first <= row < end.
    Nothing is allocated before `begin` or `restore`: reading a policy needs no experience.
    """

    def __init__(self, size: int, num_envs: int, spaces: Spaces):
        self.capacity = max(2, size // num_envs) + 1  # and the row whose actions are not taken yet
        self.num_envs = num_envs
        self.end = 0
        self.transitions = 0  # that are held
        self._shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "observations": ((num_envs, *spaces.observation.shape), spaces.observation.dtype),
            "actions": ((num_envs, *spaces.action_shape), spaces.action_dtype),
            "rewards": ((num_envs,), np.float32),
            "kinds": ((num_envs,), np.uint8)}
        self._arrays: dict[str, np.ndarray] = {}
        # What `load_state_dict` brought, until the rows follow.
        self._expected = hashlib.sha256().hexdigest()
        self._following = spaces.observation.zeros(num_envs)

    @property
    def first(self) -> int:
        """The oldest row that is held."""
        return max(0, self.end + 1 - self.capacity)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return sum(map(self._bytes_of, self._shapes))

    @property
    def sample_bytes(self) -> int:
        """Bytes of the two observations of a transition that is sampled."""
        return 2 * self._bytes_of("observations") // self.num_envs

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, allocated or not."""
        return self.capacity * self.row_bytes

    def begin(self, observations: np.ndarray) -> None:
        """The (N, *obs_shape) observations that the next actions answer."""
        if not self._arrays:
            self._allocate()
        self._arrays["observations"][self.end % self.capacity] = observations

    def append(self, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray, valid: np.ndarray,
               observations: np.ndarray) -> None:
        """Adds the (N, *action_shape) actions and what the environments answered: (N,) each, and the (N, *obs_shape)
        observations after it.

        valid: False if an environment only reset.
        """
        if actions.shape != self._arrays["actions"].shape[1:]:
            raise ValueError(f"the policy's sampler gives actions of shape {actions.shape}, and "
                             f"{self._arrays['actions'].shape[1:]} is needed: environments, and the shape of an action")
        row = self._arrays["kinds"][self.end % self.capacity]
        self._arrays["actions"][self.end % self.capacity] = actions
        self._arrays["rewards"][self.end % self.capacity] = rewards
        row[:] = valid * np.where(terminated, TERMINAL, TRANSITION)
        self._advance()
        self._arrays["observations"][self.end % self.capacity] = observations

    def cut(self) -> None:
        """The next observations do not follow from the last row: another episode begins everywhere."""
        if self.end and self._arrays:
            for name in ("actions", "rewards", "kinds"):
                self._arrays[name][self.end % self.capacity] = 0
            self._advance()
            self._arrays["observations"][self.end % self.capacity] = 0

    def sample(self, groups: int, size: int, generator: torch.Generator) -> Minibatch:
        """`groups` minibatches of `size` transitions, each drawn uniformly and with replacement from all."""
        wanted, start = groups * size, self.first
        kinds = self._flat("kinds")
        drawn = torch.zeros(0, dtype=torch.int64)
        while len(drawn) < wanted:  # nearly every row is a transition: the first pass finds nearly all
            more = torch.randint((self.end - start) * self.num_envs, (wanted - len(drawn),), generator=generator)
            more = self._wrapped(more + start % self.capacity * self.num_envs)
            drawn = torch.cat([drawn, more[kinds[more] != NOTHING]])
        observations = self._flat("observations")
        columns = (observations[drawn], self._flat("actions")[drawn], self._flat("rewards")[drawn],
                   kinds[drawn] == TERMINAL, observations[self._wrapped(drawn + self.num_envs)])
        return Minibatch(*(column.unflatten(0, (groups, size)) for column in columns))

    def newest_observations(self, rows: int) -> np.ndarray:
        """(n, *obs_shape) those of the newest rows, if they are transitions."""
        newest = self.rows(self.end - rows, self.end)
        return newest["observations"][newest["kinds"] != NOTHING]

    def rows(self, first: int, end: int) -> dict[str, np.ndarray]:
        """Copies of the rows first <= row < end, by array."""
        positions = np.arange(first, end) % self.capacity
        return {name: array[positions] for name, array in self._arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        """All but the rows: how many there were, the observations after the last, and the SHA-256 of those held."""
        following = self._arrays["observations"][self.end % self.capacity] if self._arrays else self._following
        return {"end": self.end, "observations": following.copy(),
                "sha256": self._sha256() if self._arrays else self._expected}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state_dict` gave; `restore` brings the rows."""
        self.end, self._following, self._expected = state["end"], state["observations"], state["sha256"]
        self._arrays = {}
        self.transitions = 0

    def restore(self, parts: Iterable[tuple[int, Mapping[str, np.ndarray]]]) -> None:
        """Fills the buffer after `load_state_dict` from (first row, rows) in any order; others are passed over.

        Raises ValueError if they are not the rows that were held.
        """
        self._allocate()
        for first, part in parts:
            numbers = np.arange(first, first + len(part["kinds"]))
            held = (numbers >= self.first) & (numbers < self.end)
            for name, array in self._arrays.items():
                array[numbers[held] % self.capacity] = part[name][held]
        self._arrays["observations"][self.end % self.capacity] = self._following
        self.transitions = int(np.count_nonzero(self._arrays["kinds"]))  # rows that are not held are zeros
        if self._sha256() != self._expected:
            raise ValueError("its replay segments do not hold the experience that was saved")

    def _allocate(self) -> None:
        # Pages of zeros take no memory until they are written.
        self._arrays = {name: np.zeros((self.capacity, *shape), dtype)
                        for name, (shape, dtype) in self._shapes.items()}

    def _bytes_of(self, name: str) -> int:
        """Of one row of an array."""
        shape, dtype = self._shapes[name]
        return int(np.prod(shape)) * np.dtype(dtype).itemsize

    def _advance(self) -> None:
        """Makes the newest row one of those held, and room for the one after it."""
        kinds = self._arrays["kinds"]
        self.transitions += int(np.count_nonzero(kinds[self.end % self.capacity]))
        self.end += 1
        self.transitions -= int(np.count_nonzero(kinds[self.end % self.capacity]))
        kinds[self.end % self.capacity] = NOTHING

    def _flat(self, name: str) -> Tensor:
        """(capacity * N, ...) the rows of all environments one after the other."""
        return torch.from_numpy(self._arrays[name]).flatten(0, 1)

    def _wrapped(self, positions: Tensor) -> Tensor:
        return positions.remainder_(self.capacity * self.num_envs)

    def _sha256(self) -> str:
        digest = hashlib.sha256()
        begin, end = self.first % self.capacity, self.end % self.capacity
        for array in self._arrays.values():
            for part in (array[begin:end],) if begin <= end else (array[begin:], array[:end]):
                digest.update(part.data)
        return digest.hexdigest()
