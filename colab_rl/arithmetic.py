"""What decides the bits of a training beside its own state: how torch computes, and the global generators of random
numbers.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Threads of an update. A second one gains little on networks of this size, and if anything
# else wants a core, a browser's TensorBoard say, each of its many barriers waits for a time slice.
THREADS = 1


@contextlib.contextmanager
def plain_torch(threads: int, device: str = "cpu") -> Iterator[None]:
    """Torch as its import leaves it, whatever was set in this process, and with so many CPU threads.

    On a GPU it takes kernels that repeat to the last bit, and warns of an operation that has none. Each of these
    decides what is computed, or its last bits: how sums are split among threads, for one.
    """
    import torch

    if gpu := device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has none
    wanted: list[tuple[Callable[[], Any], Callable[[Any], Any], Any]] = [
        (torch.get_num_threads, torch.set_num_threads, threads),
        (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
        # To set it loads torch's compiler, which takes a second; on a CPU it is set already.
        (lambda: (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
         lambda modes: torch.use_deterministic_algorithms(modes[0], warn_only=modes[1]), (gpu, gpu)),
        (lambda: not torch.tensor(1e-40).mul(0.5).item(), torch.set_flush_denormal, False)]
    with contextlib.ExitStack() as stack:
        if gpu:
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":  # if it is, this would only slow torch down
            stack.enter_context(torch.device("cpu"))
        for read, write, value in wanted:
            if (before := read()) != value:
                stack.callback(write, before)
                write(value)
        yield


@contextlib.contextmanager
def global_generators_kept(device: str = "cpu") -> Iterator[None]:
    """Leaves the global generators of Python, NumPy and torch as they were, for code that seeds them within."""
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[torch.cuda.current_device()] if device == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def seed_global_generators(seed: int, iteration: int) -> None:
    """Seeds them by an iteration of a run. Nothing of ours draws from them, but a loss or a network of a user may, and
    a resumed run draws the same.
    """
    import torch

    for_python, for_numpy, for_torch = np.random.SeedSequence([seed, iteration]).generate_state(3).tolist()
    random.seed(for_python)
    np.random.seed(for_numpy)
    torch.manual_seed(for_torch)
