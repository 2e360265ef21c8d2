"""Activations: for torch, for its gradient written out, and for NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

aten: Any = torch.ops.aten


def tanh(x: Tensor) -> Tensor:
    """The hyperbolic tangent, as 1 - 2 sigmoid(-2x): on the CPU torch's own takes five times as long."""
    return torch.rsub(torch.sigmoid(x * -2), 1, alpha=2)


class Activation(NamedTuple):
    """A function of a unit: for torch, its gradient from (gradient by its output, its input, its output), for NumPy."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]
    in_numpy: Callable[[np.ndarray], np.ndarray]


erf: Any = np.frompyfunc(math.erf, 1, 1)  # NumPy has none


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _gelu(x: np.ndarray) -> np.ndarray:
    return x * (0.5 + 0.5 * erf(x * math.sqrt(0.5)).astype(np.float32))


_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805  # of SELU
ACTIVATIONS = {
    "relu": Activation(torch.relu, lambda grad, x, y: aten.threshold_backward(grad, y, 0),
                       lambda x: np.maximum(x, 0)),
    "tanh": Activation(tanh, lambda grad, x, y: aten.tanh_backward(grad, y), np.tanh),
    "elu": Activation(functional.elu, lambda grad, x, y: aten.elu_backward(grad, 1.0, 1.0, 1.0, False, x), _elu),
    "gelu": Activation(functional.gelu, lambda grad, x, y: aten.gelu_backward(grad, x), _gelu),
    "silu": Activation(functional.silu, lambda grad, x, y: aten.silu_backward(grad, x),
                       lambda x: x * (0.5 + 0.5 * np.tanh(0.5 * x))),
    "leaky_relu": Activation(functional.leaky_relu, lambda grad, x, y: aten.leaky_relu_backward(grad, x, 0.01, False),
                             lambda x: np.maximum(x, np.float32(0.01) * x)),
    "selu": Activation(torch.selu, lambda grad, x, y: aten.elu_backward(grad, _ALPHA, _SCALE, 1.0, False, x),
                       lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0)))),
    "softplus": Activation(functional.softplus, lambda grad, x, y: aten.softplus_backward(grad, x, 1.0, 20.0),
                           lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))),
}
