"""This machine: its cores and memory, and what of it decides whether training repeats to the last bit.

Functions that need torch import it: worker processes ask for the cores without it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from colab_rl import __version__
from colab_rl.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
# Threads of an update. A second one gains little on networks of this size, and if anything
# else wants a core, a browser's TensorBoard say, each of its many barriers waits for a time slice.
THREADS = 1
PACKAGES = ("torch", "numpy", "gymnasium", "box2d")


def check_device(name: str) -> None:
    """Raises UsageError for an unknown device."""
    if name not in DEVICES:
        raise UsageError(f"unknown device {name!r} (available: {', '.join(DEVICES)})")


def choose_device(name: str, worth_a_gpu: bool) -> tuple[str, list[str]]:
    """`cpu` or `cuda`, for a new run, and why, if `auto` has a GPU to take or to leave.

    worth_a_gpu: whether `auto` takes it. Raises UsageError if a GPU is asked for and there is none.
    """
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UsageError("no CUDA GPU found (or torch was installed without CUDA); use --device cpu")
    if name != "auto" or not found:
        return name if found else "cpu", []
    gpu = torch.cuda.get_device_name()
    if worth_a_gpu:
        return "cuda", [f"training on the GPU ({gpu}): an update like this one's was measured to be several times "
                        "faster on an H100; --device cpu for the CPU"]
    return "cpu", [f"training on the CPU, not on the GPU ({gpu}): no update like this one's was measured to be faster "
                   "there; --device cuda for the GPU"]


def available_device(device: str) -> tuple[str, list[str]]:
    """A run's device, or the CPU if this machine has no GPU, and why."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return "cpu", ["no GPU on this machine"]
    return device, []


@functools.cache
def standard_error() -> int:
    """The file descriptor of standard error, or of a file that takes nothing, if Python began without standard error.

    From then on no file and no socket gets the number of a standard stream that is closed.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    if sys.__stderr__ is None:  # another file may have its number by now
        return descriptor
    os.close(descriptor)
    return 2


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


def installed(package: str) -> str | None:
    """The version of a package that is installed, None if it is not. `sys.path` may hold what is no text."""
    places = [place for place in sys.path if isinstance(place, str)]
    try:
        return next(iter(importlib.metadata.distributions(name=package, path=places))).version
    except (StopIteration, importlib.metadata.PackageNotFoundError):
        return None


def versions(device: str, threads: int, backend: str) -> dict[str, str]:
    """What two machines must agree in for bit-equal training, by name."""
    import torch

    found = {"colab_rl": __version__, "python": ".".join(platform.python_version_tuple()[:2])}
    for package in (*PACKAGES, "envpool") if backend == "envpool" else PACKAGES:
        found[package] = installed(package) or "missing"
    found["machine"] = f"{platform.system()} {platform.machine()}"
    found["cpu"] = f"{_cpu_model()} {torch.backends.cpu.get_cpu_capability()}"
    found["device"] = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    found["threads"] = str(threads)
    return found


def available_memory() -> int | None:
    """Bytes of memory that a program can still take, None if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def check_memory(needed: int, what: str) -> None:
    """Raises UsageError if `what` needs so many bytes and this machine does not have them free."""
    available = available_memory()
    if available is not None and needed > available:
        raise UsageError(f"{what} takes {needed / 1e9:,.1f} GB of memory, and {available / 1e9:,.1f} GB are free; "
                         "nothing was changed; choose less, or a machine with more")


def _cpu_model() -> str:
    """The processor's name: libraries choose their kernels, and so the last bits, by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def on_colab() -> bool:
    """Whether this is a notebook's kernel on Colab: its processes have Colab's modules too, and no way to ask."""
    return "COLAB_RELEASE_TAG" in os.environ and "google.colab" in sys.modules
