"""What can be wrong with a file of a checkpoint, and what a session finds then, or a naive store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from helpers import flip, table_of

from colab_rl.checkpoints import Manifest, Tier
from colab_rl.checkpoints.recovery import Checkpoint, newest_whole


def find(local: Tier, remote: Tier | None = None) -> int | None:
    """The generation that a session would continue from."""
    checkpoint = newest_whole(local, remote, lambda text: None)
    return checkpoint.manifest.generation if checkpoint else None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


FILES = {
    "state": lambda checkpoint: checkpoint.manifest.state_file,
    "table": table_of,
    "manifest": lambda checkpoint: checkpoint.manifest.name,
}
DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": cut,
    "cut to half": lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "first bit flipped": lambda path: flip(path, 0),
    "bit flipped": lambda path: flip(path, path.stat().st_size // 2),
    "last bit flipped": flip,
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "missing": Path.unlink,
    "text": lambda path: path.write_text("<html>502 Bad Gateway</html>"),
}


def tables(line: Iterable[Checkpoint]) -> list[bytes]:
    return [checkpoint.contents[table_of(checkpoint)] for checkpoint in line]


def verified(line: Iterable[Checkpoint]) -> dict[str, Manifest]:
    return {checkpoint.manifest.stem: checkpoint.manifest for checkpoint in line}


def naive_file(generation: int) -> bytes:
    torch.save({"generation": generation, "weights": torch.ones(100)}, file := io.BytesIO())
    return file.getvalue()


def naive_find(data: bytes) -> int | None:
    """What `torch.load` makes of it."""
    try:
        return torch.load(io.BytesIO(data), weights_only=True)["generation"]
    except Exception:
        return None
