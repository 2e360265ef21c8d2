"""Whether the package with all its extras changes anything on Colab's images: `python tools/resolve.py`.

For each `.ci/colab-*-pyNNN.txt`, the list of what an image holds: what of the requirements is there has to fit,
and pip is asked what it would install for the rest, every package of the image held at its version.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from colab_rl.requirements import needs

HOME = Path(__file__).parents[1]
SPARED = {"torch"}  # the image has it from a file of its own


def extras() -> list[Requirement]:
    """What the extras of setup.cfg name."""
    setup = configparser.ConfigParser()
    setup.read(HOME / "setup.cfg")
    lines = "\n".join(setup["options.extras_require"].values()).splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def packages(image: Path) -> dict[str, str]:
    """Versions by name."""
    pairs = (line.split("==") for line in image.read_text().splitlines() if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def check(image: Path) -> list[str]:
    """What is wrong, in sentences; prints what would be installed."""
    held = packages(image)
    major, minor = re.search(r"-py(\d)(\d+)\.txt", image.name).groups()
    wrong, missing = [], []
    wanted = {need.requirement.name: need.requirement for need in needs() if need.requirement.name not in SPARED}
    for need in ({extra.name: extra for extra in extras()} | wanted).values():
        here = held.get(canonicalize_name(need.name))
        if here is None:
            missing.append(f"{need.name}{need.specifier}")
        elif not need.specifier.contains(here):
            wrong.append(f"{image.name}: {need.name} {here} is not {need.specifier}")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-",
         "--python-version", f"{major}.{minor}", "--only-binary", ":all:", "--target", "unused",
         "--constraint", str(image), *missing], capture_output=True, text=True)
    if done.returncode:
        return [*wrong, f"{image.name}: {done.stderr.strip().splitlines()[-1]}"]
    found = [(canonicalize_name(item["metadata"]["name"]), item["metadata"]["version"])
             for item in json.loads(done.stdout)["install"]]
    new = [f"{name} {version}" for name, version in found if name not in held]
    print(f"{image.name}: {', '.join(missing)} brings {', '.join(new)}, and changes nothing")
    return wrong + [f"{image.name}: {name} {held[name]} becomes {version}" for name, version in found
                    if held.get(name, version) != version]


if __name__ == "__main__":
    images = sorted((HOME / ".ci").glob("colab-*.txt"))
    sys.exit("\n".join(sentence for image in images for sentence in check(image)) or 0)
