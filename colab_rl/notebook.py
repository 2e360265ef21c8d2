"""What the notebooks' cells call, beyond the package's own functions."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
from pathlib import Path

from colab_rl import colab
from colab_rl.errors import ColabRLError, StorageError
from colab_rl.inspection import status
from colab_rl.runs import TENSORBOARD, Places
from colab_rl.storage import Storage, open_store


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


def set_up(store: str = "", verify: bool = True, root: str | os.PathLike | None = None) -> str | None:
    """Connects the store, tries it, and shows what is there; says what is wrong instead of raising it.

    Returns the store's name, None where there is none.
    """
    try:
        place = colab.connect(store, verify)
        opened = open_store(place or os.environ.get("COLAB_RL_STORE"), make=True)
        if opened is None:
            print(f"no store: runs stay on this machine; {colab.OFFERS}")
        else:
            try_store(opened)
    except ColabRLError as error:
        print(f"no store: {error}")
        place = "none"
    show_runs(root, place)
    return place


def try_store(storage: Storage) -> None:
    """Writes a small file to a store, reads it back and removes it; prints how that went and the space that is free.

    Raises StorageError where it does not.
    """
    name, content = f"probe-{uuid.uuid4().hex[:8]}", os.urandom(1000)
    began = time.perf_counter()
    try:
        storage.put(name, content)
        if storage.get(name) != content:
            raise StorageError(f"{storage.place} reads back something else than was written")
    finally:
        storage.delete(name)
    seconds, free = time.perf_counter() - began, storage.free_bytes()
    space = f"{free / 1e9:.1f} GB free" if free is not None else "no limit of its own"
    proof = ("what it holds can be verified" if storage.proves or storage.witness else
             "checkpoints there are `written` and never `verified`: the mount answers from this machine's cache, and "
             "nobody is logged in to Drive itself")
    print(f"store {storage.place}: written, read back and removed in {seconds:.1f} s; {space}; {proof}")


def show_runs(root: str | os.PathLike | None = None, store: str | os.PathLike | None = None) -> None:
    """A line for every run here and in the store: how far it is, and its newest checkpoint that is safe."""
    runs = status(root=root, store=store)
    for run in runs:
        safe = next((row for row in run["checkpoints"] if row["store"] in ("verified", "written")), None)
        where = f"{safe['store']} in the store" if safe else "none in the store"
        safe = safe or next((row for row in run["checkpoints"] if row["local"] == "verified"), None)
        newest = f"generation {safe['generation']}, step {safe['step']:,}, {where}" if safe else "no whole checkpoint"
        print(f"{run['run']}: {run['env_id']}, {run['algorithm']}, step {run['step']:,} of {run['total_steps']:,}; "
              f"newest: {newest}")
    if not runs:
        print("no runs yet: notebooks/01_train.ipynb begins one")
