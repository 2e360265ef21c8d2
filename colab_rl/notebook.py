"""What the notebooks' cells call, beyond the package's own functions."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from colab_rl.runs import TENSORBOARD, Places


def show_tensorboard(root: str | os.PathLike | None = None) -> None:
    """TensorBoard over this machine's event files, in the cell's output.

    Started before training, it shows curves while the training cell runs.
    """
    from tensorboard import notebook

    folder = Places(root, store="none").root / TENSORBOARD
    folder.mkdir(parents=True, exist_ok=True)
    beside_python = Path(sys.executable).with_name("tensorboard")
    if not shutil.which("tensorboard") and beside_python.exists():
        os.environ.setdefault("TENSORBOARD_BINARY", str(beside_python))
    notebook.start(f"--logdir {folder} --reload_interval 15")
