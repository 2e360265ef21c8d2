"""Cuts a run down to the example that the package ships: `python tools/example.py ROOT`.

ROOT holds a whole run `example-walker`, made by
`python -m colab_rl --root ROOT --store none train example-walker --algo ppo --seed 3 --set target_score=300`.
Kept are some checkpoints from the first to the newest, all metrics, and the telemetry of the newest.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from pathlib import Path

from colab_rl.example import EXAMPLE
from colab_rl.runs.places import Places
from colab_rl.views.history import History

KEPT = 4
HOME = Path(__file__).parents[1] / "colab_rl" / "example" / EXAMPLE


def main(root: str) -> None:
    """Writes the example anew."""
    places = Places(root, "none")
    run = places.root / EXAMPLE
    history = History(places.require(EXAMPLE), places)
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(run / "metrics", HOME / "metrics")
    shutil.copyfile(run / "run.json", HOME / "run.json")
    for manifest in history.spread(KEPT):
        files = {name: record for name, record in manifest.files.items()
                 if manifest == history.newest or not name.startswith("telemetry/")}
        for name in files:
            (HOME / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(run / name, HOME / name)
        (HOME / manifest.name).write_bytes(dataclasses.replace(manifest, files=files).to_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
