"""A trained example for those who have no run yet: `example-walker`, a BipedalWalker-v3 run with few checkpoints.

`tools/example.py` made it from a whole run; training it again takes the settings in its run.json.
"""

from __future__ import annotations

import shutil
import tempfile
from importlib import resources
from pathlib import Path

EXAMPLE = "example-walker"


def unpack_example(root: Path) -> None:
    """Makes the example one of this machine's runs, if it is not one yet."""
    if (root / EXAMPLE).exists():
        return
    root.mkdir(parents=True, exist_ok=True)
    with resources.as_file(resources.files(__name__) / EXAMPLE) as folder, \
            tempfile.TemporaryDirectory(prefix=".tmp-", dir=root) as temporary:
        copy = shutil.copytree(folder, Path(temporary, EXAMPLE))
        copy.rename(root / EXAMPLE)  # whole or not there
