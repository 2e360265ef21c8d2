"""A network's outputs and gradient by two threads: each takes half of the rows, forward and back.

A convolution takes milliseconds, and torch does not hold Python's lock meanwhile, so both threads compute at once.
torch can share each convolution among threads of its own, but these wait for each other in a loop: beside another
program, a step then takes several times as long. Here the halves decide the last bits, and not the number of cores.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, nn

from colab_rl.networks.base import Pullback, accumulate


def recorded_in_halves(module: nn.Module, rows: Tensor) -> tuple[Tensor, Pullback]:
    """`Network.vjp` of a module whose rows do not depend on each other, by autograd. rows: (B, *obs_shape)."""
    parameters = list(module.parameters())

    def forward(half: Tensor) -> Tensor:
        with torch.enable_grad():
            return module(half)

    def back(outputs: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return torch.autograd.grad(outputs, parameters, gradient, allow_unused=True)

    outputs = _both(forward, *((half,) for half in rows.tensor_split(2)))

    def pullback(gradient: Tensor) -> None:
        for gradients in _both(back, *zip(outputs, gradient.tensor_split(2), strict=True)):
            for parameter, part in zip(parameters, gradients, strict=True):
                if part is not None:
                    accumulate(parameter, part)

    return torch.cat(outputs).detach().requires_grad_(), pullback


def _both(work: Callable[..., Any], mine: tuple, other: tuple) -> tuple[Any, Any]:
    """What the work gives for each of two tuples of arguments, at once."""
    threads = torch.get_num_threads()

    def there() -> Any:
        torch.set_num_threads(threads)  # a new thread begins with as many as there are cores
        return work(*other)

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(there)
        return work(*mine), found.result()
