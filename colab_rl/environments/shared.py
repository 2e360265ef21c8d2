"""Arrays that the trainer and its worker processes both see.

They lie in one anonymous file that the kernel frees with the last process, so that
kill -9 leaves nothing behind.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass

import numpy as np

from colab_rl.environments.spaces import ObservationSpec


@dataclass(frozen=True)
class Layout:
    """The sizes and types that both sides need to lay out the same arrays."""

    num_envs: int
    observation: ObservationSpec
    action_shape: tuple[int, ...]
    action_dtype: str
    channels: int = 0  # numbers of telemetry a step, see channels.Channels.width

    def fields(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Name, shape and dtype of each array, in the order in which they lie."""
        n = (self.num_envs,)
        return {
            "seeds": (n, "i8"),  # of the episode that runs or begins next; -1: stay idle
            "rewards": (n, "f8"),
            "own_rewards": (n, "f8"),  # without what a run's wrappers make of them
            "actions": (n + self.action_shape, self.action_dtype),
            "observations": (n + self.observation.shape, self.observation.dtype),
            "channels": ((self.num_envs, self.channels), "f4"),
            "recorded": (n, "?"),  # whether the worker fills this environment's channels
            "terminated": (n, "?"),
            "truncated": (n, "?"),
            "ended": (n, "?"),  # the next step resets
        }

    def size(self) -> int:
        """Bytes of all arrays."""
        return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self.fields().values())


class SharedArrays:
    """The arrays of a `Layout`, as attributes, in the file behind `descriptor`."""

    seeds: np.ndarray
    rewards: np.ndarray
    own_rewards: np.ndarray
    actions: np.ndarray
    observations: np.ndarray
    channels: np.ndarray
    recorded: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    ended: np.ndarray

    def __init__(self, layout: Layout, descriptor: int):
        memory = mmap.mmap(descriptor, layout.size())
        offset = 0
        for name, (shape, dtype) in layout.fields().items():
            array = np.frombuffer(memory, dtype, int(np.prod(shape)), offset).reshape(shape)
            setattr(self, name, array)
            offset += array.nbytes


def anonymous_file(size: int) -> int:
    """A descriptor of a new file of `size` zero bytes that has no name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("colab_rl")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor
