"""This machine: its cores and memory, and what of it decides whether training repeats to the last bit.

torch is imported where it is needed: worker processes, which do without it, ask for the cores.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from colab_rl.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
# Threads of an update. A second one gains little on networks of this size, and where anything
# else wants a core, a browser's TensorBoard say, each of its many barriers waits for a time slice.
THREADS = 1
PACKAGES = ("torch", "numpy", "gymnasium", "box2d")


def check_device(name: str) -> None:
    """Raises UsageError for an unknown device."""
    if name not in DEVICES:
        raise UsageError(f"unknown device {name!r} (there is: {', '.join(DEVICES)})")


def choose_device(name: str) -> str:
    """`cpu` or `cuda`, for a new run. Raises UsageError where there is no GPU and one is asked for."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA GPU is there (or torch was installed without CUDA); use --device cpu")
    return "cpu" if name == "auto" else name


def available_device(device: str) -> tuple[str, list[str]]:
    """A run's device, or the CPU where there is no GPU any more, and why."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return "cpu", ["no GPU on this machine"]
    return device, []


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Lets torch use `count` CPU threads; how sums are split among threads decides their last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def versions(device: str, threads: int, backend: str) -> dict[str, str]:
    """What two machines must agree in for bit-equal training, by name."""
    import torch

    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in (*PACKAGES, "envpool") if backend == "envpool" else PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "missing"
    found["machine"] = f"{platform.system()} {platform.machine()}"
    found["cpu"] = f"{_cpu_model()} {torch.backends.cpu.get_cpu_capability()}"
    found["device"] = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    found["threads"] = str(threads)
    return found


def available_memory() -> int | None:
    """Bytes of memory that a program can still take, None where the system does not say."""
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


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Such as `torch 2.11.0 -> 2.13.0`, for each version in which the two differ."""
    return [f"{name} {then.get(name, 'missing')} -> {now.get(name, 'missing')}"
            for name in dict.fromkeys([*then, *now]) if then.get(name) != now.get(name)]


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def on_colab() -> bool:
    """Whether this is a notebook's kernel on Colab: its processes have Colab's modules too, and no way to ask."""
    return "COLAB_RELEASE_TAG" in os.environ and "google.colab" in sys.modules
