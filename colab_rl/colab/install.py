"""What the package needs and what is here: installs what is missing, and changes nothing that is there.

A preinstalled package that changes forces Colab's runtime to restart, so that each is held at its version. The wheel of
the package can be kept in a store, beside the runs: the notebooks' first cell installs it from there.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from colab_rl.errors import ColabRLError
from colab_rl.machine import installed
from colab_rl.progress import aside
from colab_rl.requirements import EXPORT, NAME, SEARCH, SOURCES, checkout, needs

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

SECONDS = 600   # that pip may take


def prepare() -> None:
    """The end of the notebooks' first cell: installs what is missing, and says what this machine is.

    If the package is imported from a folder and not installed, `!python -m colab_rl` finds that folder too.
    """
    complete()
    if (folder := checkout()) and not installed(NAME):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    from colab_rl.commands.doctor import describe_machine  # it needs what was missing

    print(describe_machine())


def complete() -> None:
    """Installs what is missing, at versions that leave all that is here as it is.

    Raises ColabRLError if something that is needed is missing and cannot be installed, or is too old.
    """
    found = needs()
    unfit = [need for need in found if need.needed and need.here and not need.fits]
    if unfit:
        have = ", ".join(f"{need.requirement.name} {need.here}" for need in unfit)
        others = " ".join(f'"{need.requirement.name}{need.requirement.specifier}"' for need in unfit)
        raise ColabRLError(f"too old, or too new, for colab_rl: {have}; nothing was changed; run pip install {others}, "
                           "then restart the runtime, and Run all again")
    missing = [need.requirement for need in found if need.needed and not need.here]
    wanted = [need.requirement for need in found if not need.needed and not need.here]
    if not missing and not wanted:
        return
    _say(f"installing what is missing here: {_names([*missing, *wanted])}")
    without_envpool = _install(missing, wanted)
    if without_envpool is None:
        return
    if missing:
        _require(missing, _install(missing, []) if wanted else without_envpool)
    _say(f"no EnvPool for this machine ({without_envpool}): training uses gymnasium, several times slower")


def complete_export() -> None:
    """Installs what an export needs and is missing, as `complete` does. Raises ColabRLError if it cannot."""
    _complete(EXPORT)


def complete_search() -> None:
    """The same for a sweep's search."""
    _complete(SEARCH)


def _complete(requirements: Sequence[str]) -> None:
    from packaging.requirements import Requirement

    missing = [one for one in map(Requirement, requirements) if not installed(one.name)]
    if missing:
        _say(f"installing what is missing here: {_names(missing)}")
        _require(missing, _install(missing, []))


def _require(missing: Sequence[Requirement], problem: str | None) -> None:
    """Raises ColabRLError if there was a problem when they were installed."""
    if problem:
        raise ColabRLError(f"{_names(missing)} is missing and was not installed: {problem}; nothing was changed; "
                           "connect this machine to the network, or install it by hand, and run this cell again")


def _names(requirements: Sequence[Requirement]) -> str:
    return ", ".join(one.name for one in requirements)


@functools.cache
def build_wheel() -> tuple[str, bytes]:
    """The package's wheel: its name and content, from the sources that it is imported from or was installed from.

    Raises ColabRLError if there is no way to it.
    """
    with tempfile.TemporaryDirectory() as folder:
        if checked_out := checkout():
            source = f"{folder}/sources"  # setuptools leaves its own files beside what it builds
            os.mkdir(source)
            for name in SOURCES:
                copy = shutil.copytree if (checked_out / name).is_dir() else shutil.copyfile
                copy(checked_out / name, Path(source, name))
        else:
            origin = importlib.metadata.distribution(NAME).read_text("direct_url.json")
            if origin is None:
                raise ColabRLError("its metadata names no source of the installation")
            source = json.loads(origin)["url"]
        problem = _pip("wheel", "--no-deps", "--wheel-dir", folder, *_isolation(), source)
        if problem:
            raise ColabRLError(f"its wheel could not be built: {problem}")
        path = next(Path(folder).glob("*.whl"))
        return path.name, path.read_bytes()


def same_wheel(one: bytes, other: bytes) -> bool:
    """Whether two wheels hold the same files; when each was packed does not count."""
    try:
        files = [{info.filename: info.CRC for info in zipfile.ZipFile(io.BytesIO(data)).infolist()}
                 for data in (one, other)]
    except zipfile.BadZipFile:
        return False
    return files[0] == files[1]


def _say(line: str) -> None:
    """Not by progress.say, whose tqdm may be among what is missing."""
    print(line, file=aside(), flush=True)


def _isolation() -> tuple[str, ...]:
    """Pip's option to build with the setuptools that is here, which is faster; nothing if it cannot make wheels."""
    from packaging.version import Version

    here = installed("setuptools")
    return ("--no-build-isolation",) if here and Version(here) >= Version("70.1") else ()


def _install(missing: Sequence[Requirement], wanted: Sequence[Requirement]) -> str | None:
    """Installs them and what they need, nothing of what is wanted from sources; all that is here stays as it is.

    Returns what went wrong, None for nothing.
    """
    from packaging.version import InvalidVersion, Version

    held: dict[str, Version] = {}
    for distribution in importlib.metadata.distributions():
        with contextlib.suppress(InvalidVersion, TypeError):  # what has no version cannot be held at it
            held.setdefault(distribution.metadata["Name"], Version(distribution.version))
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(f"{name}=={number}" for name, number in held.items() if name))
        constraints.flush()
        problem = _pip("install", "--constraint", constraints.name,
                       "--only-binary", ",".join(one.name for one in wanted) or ":none:",
                       *(f"{one.name}{one.specifier}" for one in (*missing, *wanted)))
    importlib.invalidate_caches()
    return problem


def _pip(*arguments: str) -> str | None:
    """Runs pip; returns the last error that it names, None if it succeeds."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "2", "--timeout", "20",
               *arguments]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if result.returncode == 0:
        return None
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip failed"])[-1][:300]
