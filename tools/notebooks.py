"""Stamps what the notebooks and the README repeat: `python tools/notebooks.py [owner/name]`.

The repository's name comes from setup.cfg's `url`, where the argument puts it; the version from the package. Both go
into the first code cell, which all notebooks have from 00_setup, into every badge and link to Colab, and into
`git clone`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]
NAME = "[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"


def main(home: Path, repository: str | None = None) -> None:
    """Stamps the files below `home`."""
    setup = home / "setup.cfg"
    if repository:
        if not re.fullmatch(NAME, repository):
            sys.exit(f"REPO is owner/name, not {repository!r}")
        setup.write_text(re.sub("(?m)^url = .*$", f"url = https://github.com/{repository}", setup.read_text()))
    repository = re.search(f"(?m)^url = https://github.com/({NAME})$", setup.read_text())[1]
    version = re.search('(?m)^__version__ = "(.*)"', (home / "colab_rl" / "__init__.py").read_text())[1]
    notebooks = sorted((home / "notebooks").glob("*.ipynb"))
    first = first_cell(json.loads(notebooks[0].read_text()))["source"]
    for path in notebooks:
        book = json.loads(path.read_text())
        first_cell(book)["source"] = first
        for cell in book["cells"]:
            cell["source"] = [stamped(line, repository, version) for line in cell["source"]]
        path.write_text(json.dumps(book, indent=1, ensure_ascii=False) + "\n")
    for path in (home / "README.md", home / "CONTRIBUTING.md", *(home / "docs").rglob("*.md")):
        path.write_text(stamped(path.read_text(), repository, version))


def first_cell(book: dict) -> dict:
    """A notebook's first code cell, which finds or installs the package."""
    return next(cell for cell in book["cells"] if cell["cell_type"] == "code")


def stamped(text: str, repository: str, version: str) -> str:
    """The text with this repository and this version wherever it names one."""
    text = re.sub(f"((?:colab.research.google.com/github|https://github.com)/){NAME}(/blob/)",
                  rf"\g<1>{repository}\g<2>", text)
    text = re.sub(f"(git clone https://github.com/){NAME} && cd .*",
                  rf"\g<1>{repository} && cd {repository.split('/')[1]}", text)
    text = re.sub('^(REPOSITORY = ")[^"]*(")', rf"\g<1>{repository}\g<2>", text)
    return re.sub(r"(colab_rl-)[0-9][^-]*(-\*\.whl)", rf"\g<1>{version}\g<2>", text)


if __name__ == "__main__":
    main(HOME, *sys.argv[1:])
