"""`doctor`: what this machine has and lacks, and a fix for each thing that is wrong.

Each check imports the package that it needs: a missing package is a usual reason to ask a doctor.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import colab_rl
from colab_rl import requirements
from colab_rl.errors import ColabRLError
from colab_rl.machine import memory

# The newest that the tests pass with (constraints.txt); what is newer should work too.
TESTED = {"gymnasium": "1.4", "numpy": "2.4", "torch": "2.13", "plotly": "7.1", "moviepy": "2.2", "ipywidgets": "8.1"}
PYTHONS = ((3, 11), (3, 13))
OLDER = "if it does not, choose an older runtime version in Colab's Runtime menu"
ROOM = 1e9  # bytes of disk that are plenty: a run's checkpoints take tens of megabytes

GOOD, NOTE, BAD = "good", "note", "bad"


class Finding(NamedTuple):
    """One line of `doctor`. state: good, note (it works) or bad (it does not); fix: what to do, empty for nothing."""

    state: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        mark = {GOOD: "ok  ", NOTE: "note", BAD: "BAD "}[self.state]
        return f"{mark}  {self.what}{f'; {self.fix}' if self.fix else ''}"


@dataclass(frozen=True)
class Diagnosis:
    """What this machine has and lacks."""

    findings: list[Finding]

    @property
    def bad(self) -> bool:
        """Whether something is wrong that training cannot do without."""
        return any(finding.state == BAD for finding in self.findings)

    def summary(self) -> str:
        """A line for each finding."""
        return "\n".join(map(str, self.findings))

    def to_json(self) -> list[dict[str, Any]]:
        """What `doctor --json` prints."""
        return [finding._asdict() for finding in self.findings]


def examine(root: str | os.PathLike | None = None, store: str | os.PathLike | None = None) -> Diagnosis:
    """Looks at Python, the packages, the processor, the disk and the store; nobody is asked anything."""
    found = [_python(), *_packages()]
    unseen: set[str] = set()
    for look in (_box2d, _envpool, _gpu, _film, partial(_disk, root), partial(_store, store)):
        try:
            found.append(look())
        except ModuleNotFoundError as error:
            unseen.add((error.name or str(error)).partition(".")[0])
    if placeholder := _placeholder():
        found.append(placeholder)
    if unseen:
        found.append(Finding(BAD, f"some checks were left out: {', '.join(sorted(unseen))} cannot be imported",
                             f"pip install {' '.join(sorted(unseen))}, and run doctor again"))
    return Diagnosis(found)


def describe_machine() -> str:
    """What this machine is, in one line, and a line more for each thing that needs an answer."""
    from colab_rl.machine import cores

    line = " · ".join([
        f"colab_rl {colab_rl.__version__}", f"Python {platform.python_version()}",
        f"torch {importlib.import_module('torch').__version__}", f"{cores()} CPU cores", _gpu().what,
        f"{memory() / 2**30:.1f} GB memory", f"{shutil.disk_usage('.').free / 1e9:.0f} GB disk free", _fast(),
        _drive()])
    wrong = [finding for finding in (_python(), *_packages(), _box2d()) if finding.state != GOOD]
    return "\n".join([line, *map(str, wrong)])


def _python() -> Finding:
    here = f"Python {platform.python_version()}"
    oldest, newest = (".".join(map(str, number)) for number in PYTHONS)
    if sys.version_info[:2] < PYTHONS[0]:
        return Finding(BAD, f"{here} is too old", f"take {oldest} or newer")
    if sys.version_info[:2] > PYTHONS[1]:
        return Finding(NOTE, f"{here} is newer than colab_rl was tested with ({oldest} to {newest}) and should work",
                       OLDER)
    return Finding(GOOD, here)


def _packages() -> list[Finding]:
    try:
        return [_package(need.requirement.name, str(need.requirement.specifier), need.here, need.fits)
                for need in requirements.needs() if need.needed]
    except ColabRLError as error:
        return [Finding(BAD, str(error))]


def _package(name: str, wanted: str, here: str | None, fits: bool) -> Finding:
    from packaging.version import Version

    if here is None:
        return Finding(BAD, f"{name} is missing", f'pip install "{name}{wanted}"')
    if not fits:
        return Finding(BAD, f"{name} {here} does not fit: {wanted} is needed",
                       f'pip install "{name}{wanted}", then restart the runtime')
    if name in TESTED and Version(here).release[:2] > Version(TESTED[name]).release:
        return Finding(NOTE, f"{name} {here} is newer than colab_rl was tested with ({TESTED[name]}) and should work",
                       OLDER)
    return Finding(GOOD, f"{name} {here}")


def _box2d() -> Finding:
    try:
        importlib.import_module("Box2D")
    except ImportError as error:
        return Finding(BAD, f"Box2D cannot be imported ({error}): no BipedalWalker, no LunarLander",
                       'pip install --force-reinstall --no-deps "box2d==2.3.10"')
    return Finding(GOOD, "Box2D can be imported")


def _envpool() -> Finding:
    from colab_rl.environments.backends import reason_not_available
    from colab_rl.environments.envpool_vector import INSTALL
    from colab_rl.environments.make import describe
    from colab_rl.training.request import DEFAULT_ENVIRONMENT

    try:
        reason = reason_not_available("envpool", DEFAULT_ENVIRONMENT, describe(DEFAULT_ENVIRONMENT))
    except ColabRLError as error:
        reason = str(error)
    if reason:
        return Finding(NOTE, f"training uses gymnasium, several times slower: {reason}",
                       f"{INSTALL}, if there is one for this machine")
    return Finding(GOOD, "EnvPool: environments are stepped in C++")


def _gpu() -> Finding:
    import torch

    return Finding(GOOD, torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU (none is needed)")


def _film() -> Finding:
    from colab_rl.views.video.encoder import check_encoder

    try:
        check_encoder()
    except ColabRLError as error:
        return Finding(NOTE, f"no videos: {error}")
    return Finding(GOOD, "FFmpeg: videos can be made")


def _placeholder() -> Finding | None:
    """What to do if the notebooks of this copy link to nobody's repository."""
    folder = requirements.checkout()
    notebook = folder / "notebooks" / "01_train.ipynb" if folder else None
    if notebook is None or not notebook.is_file() or "YOUR_NAME/" not in notebook.read_text():
        return None
    return Finding(NOTE, "the notebooks' links and first cells name no repository (YOUR_NAME/colab_rl)",
                   f"run make notebooks REPO=owner/name in {folder}, with the owner and the name of yours on GitHub")


def _disk(given: str | os.PathLike | None) -> Finding:
    from colab_rl.runs.places import Places

    root = Places(given, "none").root.absolute()
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    if not there.is_dir():
        return Finding(BAD, f"{there} is a file, and runs need a folder", "choose another folder with --root")
    free = shutil.disk_usage(there).free
    if not os.access(there, os.W_OK):
        return Finding(BAD, f"{there} cannot be written", "choose another folder with --root")
    if free < ROOM:
        return Finding(NOTE, f"only {free / 1e9:.1f} GB are free in {there}", "make room there")
    return Finding(GOOD, f"{free / 1e9:.0f} GB are free in {there}")


def _fast() -> str:
    """EnvPool's version; importing it takes seconds, which `doctor` has."""
    here = next((need.here for need in requirements.needs() if not need.needed and need.fits), None)
    return f"EnvPool {here}" if here else "no EnvPool"


def _drive() -> str:
    from colab_rl import machine
    from colab_rl.storage.drive.mount import MOUNTED_DRIVE, MY_DRIVE

    if (MOUNTED_DRIVE / MY_DRIVE).is_dir():
        return "Drive mounted"
    return "Drive not mounted" if machine.on_colab() else "not on Colab"


def _store(store: str | os.PathLike | None) -> Finding:
    from colab_rl.runs.places import store_name
    from colab_rl.storage.registry import open_store

    try:
        opened = open_store(store_name(store), make=False)
        if opened is None:
            return Finding(NOTE, "no store: checkpoints stay on this machine",
                           "give --store, or in a notebook run the cell that connects the store")
        opened.folders()
    except ColabRLError as error:
        return Finding(BAD, str(error))
    return Finding(GOOD, f"store {opened.place} answers")
