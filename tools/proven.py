"""Tries whether the code of today trains as 0.1.0 did, and writes what it finds: `python tools/proven.py`.

Each run in tests/data/runs-0.1.0 is trained to its end. If it ends in the state that 0.1.0 reached, the hashes of the
code that trained it are written to colab_rl/training/code/proven.py. It needs a machine like the one of those runs.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import colab_rl
from colab_rl import train

OLD = Path(__file__).parents[1] / "tests" / "data" / "runs-0.1.0"
HOME = Path(colab_rl.__file__).parent / "training" / "code" / "proven.py"


def main() -> None:
    """Writes the file anew."""
    found: dict[str, dict[str, str]] = {}
    failed = set()
    for name, expected in json.loads((OLD / "expected.json").read_text()).items():
        with tempfile.TemporaryDirectory() as root:
            shutil.copytree(OLD / name, Path(root, name))
            result = train(name, total_steps=1024, root=root, store="none")
            identity = json.loads(Path(root, name, "run.json").read_text())
            manifest = json.loads(max(Path(root, name, "checkpoints").glob("*.json")).read_text())
        others = [reason for reason in manifest["inexact"] if not reason.startswith(("code", "colab_rl "))]
        if others:
            sys.exit(f"nothing was written: this machine is not like that of {name} ({', '.join(others)})")
        run = f"{identity['algorithm']} {identity['backend']}"
        found[run] = {name: value for name, value in manifest["versions"].items() if name.startswith("code")}
        if result.state_sha256 != expected:
            failed.add(run)
            print(f"{name} ends in another state than 0.1.0 reached")
    head, _, _ = HOME.read_text().partition("PROVEN")
    proven = {run: hashes for run, hashes in sorted(found.items()) if run not in failed}
    HOME.write_text(f"{head}PROVEN: dict[str, dict[str, str]] = {json.dumps(proven, indent=4)}\n")
    print(f"{HOME} has {', '.join(proven) or 'nothing'}; other runs of 0.1.0 continue with exact: false")


if __name__ == "__main__":
    main()
