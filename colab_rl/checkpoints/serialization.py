"""A training state as bytes, and its hash.

A state is a nested dict of tensors, arrays and plain values. Tensors and arrays become
the tensors of one safetensors file, named by their path (`algorithm/policy/mean.0.weight`);
everything else is one JSON text in its metadata. Nothing in such a file can be executed.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

SEPARATOR = "/"
State = dict[str, Any]


def serialize(state: State) -> bytes:
    """The state as a safetensors file; equal states give equal bytes. Raises TypeError for what it cannot hold."""
    arrays, plain, tensors = _flatten(state)
    # One metadata entry: the order of several is random, and so would be the bytes.
    description = json.dumps({"plain": plain, "tensors": tensors}, sort_keys=True)
    try:
        return safetensors.numpy.save(arrays, {"state": description})
    except safetensors.SafetensorError as error:
        raise TypeError(f"a state cannot hold this: {error}") from error


def deserialize(data: bytes) -> State:
    """The state in a safetensors file. Raises ValueError if it is none of ours."""
    try:
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        arrays = safetensors.numpy.load(data)
        description = json.loads(header["__metadata__"]["state"])
        plain, tensors = description["plain"], set(description["tensors"])
    except (safetensors.SafetensorError, KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"not a training state: {error}") from error
    leaves: dict[str, Any] = dict(plain)
    for path, array in arrays.items():
        # A copy: the loaded array is a read-only view of `data`.
        leaves[path] = torch.from_numpy(array.copy()) if path in tensors else array.copy()
    state: State = {}
    for path, leaf in leaves.items():
        *parents, name = path.split(SEPARATOR)
        node = state
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = leaf
    return state


def state_sha256(state: State) -> str:
    """SHA-256 over every path, type, shape and byte of the state."""
    arrays, plain, _ = _flatten(state)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for path in sorted(arrays):
        array = arrays[path]
        digest.update(f"{path} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _flatten(state: State) -> tuple[dict[str, np.ndarray], dict[str, Any], list[str]]:
    """Arrays and plain values by path, and which of the arrays were tensors."""
    arrays: dict[str, np.ndarray] = {}
    plain: dict[str, Any] = {}
    tensors: list[str] = []

    def visit(path: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                if SEPARATOR in key:
                    raise TypeError(f"a state's key may not contain {SEPARATOR!r}: {key!r}")
                visit(f"{path}{SEPARATOR}{key}" if path else key, child)
        elif isinstance(value, torch.Tensor):
            tensors.append(path)
            arrays[path] = value.numpy(force=True).copy(order="C")
        elif isinstance(value, np.ndarray):
            arrays[path] = value.copy(order="C")  # safetensors would write a strided array's memory, not its values
        elif value is None or isinstance(value, (bool, int, float, str, dict)):
            plain[path] = value
        else:
            raise TypeError(f"a state cannot hold {type(value).__name__} (at {path})")

    if state:
        visit("", state)
    return arrays, plain, sorted(tensors)
