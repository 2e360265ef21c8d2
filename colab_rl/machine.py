"""This machine: its cores and memory, and what of it decides whether training repeats to the last bit.

Functions that need torch import it: worker processes ask for the cores without it.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os
import platform
import sys
from pathlib import Path

from colab_rl import __version__
from colab_rl.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
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
