"""What the package needs, and what of it is here."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import colab_rl
from colab_rl.errors import ColabRLError
from colab_rl.machine import installed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "colab-rl"
FAST = "fast"   # the extra with EnvPool: wanted, not needed
ENVPOOL = "envpool>=1.2,<1.2.1"  # what setup.cfg says of it
EXPORT = ("onnx>=1.16", "onnxruntime>=1.18", "onnxscript>=0.5")  # and of the extra for exports
SEARCH = ("optuna>=4",)  # of the extra for a sweep's search
SAME = {"pygame": "pygame-ce"}  # another distribution of the same modules, which will do as well
SOURCES = ("colab_rl", "setup.cfg", "pyproject.toml", "requirements.txt", "README.md", "LICENSE")


class Need(NamedTuple):
    """A requirement of the package. needed: whether it cannot go without; here: the version that is installed."""

    requirement: Requirement
    needed: bool
    here: str | None

    @property
    def fits(self) -> bool:
        """Whether what is here will do."""
        return self.here is not None and self.requirement.specifier.contains(self.here, prereleases=True)


def needs() -> list[Need]:
    """All that the package needs or wants on this machine. Raises ColabRLError if nothing says what that is."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:  # imported from a folder that nobody installed
        folder = checkout()
        if folder is None:
            raise ColabRLError(f"nothing says what colab_rl needs: {Path(colab_rl.__file__).parents[1]} holds the "
                               "package alone; take a whole copy of the repository, or pip install its wheel") from None
        lines = [*(folder / "requirements.txt").read_text().split("\n"), f'{ENVPOOL}; extra == "{FAST}"']
    found = []
    for requirement in (Requirement(line) for line in lines if line):
        needed, wanted = (requirement.marker is None or requirement.marker.evaluate({"extra": extra})
                          for extra in ("", FAST))
        if wanted:
            here = installed(requirement.name) or installed(SAME.get(requirement.name, requirement.name))
            found.append(Need(requirement, needed, here))
    return found


def checkout() -> Path | None:
    """The folder of the sources, if the package is imported from them."""
    folder = Path(colab_rl.__file__).parents[1]
    return folder if all((folder / name).exists() for name in SOURCES) else None
