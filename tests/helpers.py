"""What several test files share: small checkpoints, and storages that misbehave on purpose."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from colab_rl.checkpoints import FileRecord, Manifest, Replicator, Tier
from colab_rl.checkpoints.layout import numbered_name
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.checkpoints.serialization import serialize, state_sha256
from colab_rl.errors import StorageError
from colab_rl.storage import FolderStorage, Stat
from colab_rl.training.metrics import to_csv

# Settings of a run that is over in a second.
TINY = ["num_envs=2", "num_steps=32", "minibatch_size=32", "update_epochs=2", "checkpoint_every=1", "eval_every=4",
        "eval_episodes=2", "score_episodes=3", "keep_last=2", "keep_every=3", "hidden_sizes=8"]


def changed(settings: Iterable[str], *others: str) -> list[str]:
    """Settings as `--set` takes them, with others in place of those of the same name."""
    return [f"{name}={value}" for name, value in dict(one.split("=", 1) for one in (*settings, *others)).items()]

# Of files, as people write them: what FFmpeg, globs, shells, HTML and URLs read as more than a name; and the longest.
NAMES = ["my report", "rapport d'été", "50%d of 100%", "a[1] *?", "-leading", "walker:12", 'say "hi"', "party 🎉👨‍👩‍👧",
         "a#b?c&d=e", "dots.in..it", ".hidden", "報告", "<b>bold", "back\\slash", "$(touch x) `id`;|", "x" * 250,
         "é" * 125]

RUN_ID = "9f0c"
LONG = 60.0  # seconds that a test waits for what must come; it comes at once


def make_checkpoint(generation: int, parent: Checkpoint | None = None, *, score: float | None = None,
                    run_id: str = RUN_ID, salt: int = 0) -> Checkpoint:
    """A small checkpoint as the trainer makes them; `salt` makes it another one of the same generation."""
    state = {"generation": generation, "salt": salt, "weights": np.arange(20, dtype=np.float32) + generation}
    row = {"iteration": generation, "step": 100 * generation, "seconds": 1.5 * generation, "episode/return": salt}
    data, table = serialize(state), to_csv([row])
    data_record, table_record = FileRecord.of(data), FileRecord.of(table)
    data_name = numbered_name("checkpoints/", generation, data_record.sha256, "safetensors")
    table_name = numbered_name("metrics/", generation, table_record.sha256, "csv")
    history = {}
    if parent:
        history = {**parent.manifest.history, table_of(parent): parent.manifest.files[table_of(parent)]}
    manifest = Manifest(
        run_id=run_id, generation=generation, parent=parent.manifest.stem if parent else None,
        iteration=generation, step=100 * generation, total_steps=10_000, finished=False, score=score, criterion=score,
        state_sha256=state_sha256(state), seconds=1.5 * generation, created="2026-11-22T09:00:00+00:00",
        versions={"torch": "2"}, files={table_name: table_record, data_name: data_record}, history=history)
    return Checkpoint(manifest, {data_name: data, table_name: table})


def make_line(length: int, scores: Mapping[int, float] | None = None) -> list[Checkpoint]:
    """Generations 1 to `length`, each the parent of the next."""
    line: list[Checkpoint] = []
    for generation in range(1, length + 1):
        line.append(make_checkpoint(generation, line[-1] if line else None, score=(scores or {}).get(generation)))
    return line


def table_of(checkpoint: Checkpoint) -> str:
    """Name of a checkpoint's own metrics table."""
    return next(name for name in checkpoint.manifest.files if name.startswith("metrics/"))


def make_tier(folder: Path, checkpoints: Iterable[Checkpoint] = (), run_id: str = RUN_ID) -> Tier:
    """A tier in a folder that holds these checkpoints."""
    tier = Tier(FolderStorage(folder), run_id)
    for checkpoint in checkpoints:
        tier.commit(*checkpoint)
    return tier


def generations(tier: Tier) -> list[int]:
    """The generations in a tier that are whole, oldest first."""
    return sorted(manifest.generation for manifest in tier.whole())


def flip(path: Path, position: int = -1) -> None:
    """Flips one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def restore(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes a folder hold exactly these files."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.unlink()
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def comes(condition: Callable[[], bool]) -> bool:
    """Whether it holds within LONG seconds."""
    deadline = time.monotonic() + LONG
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds


def goes_wrong(replicator: Replicator) -> bool:
    """Whether something goes wrong before all is in the store."""
    return comes(lambda: replicator.error is not None or not replicator.pending) and replicator.error is not None


def brought(replicator: Replicator) -> bool:
    """Whether all is in the store, and nothing was seen to go wrong on the way."""
    return not goes_wrong(replicator) and not replicator.pending


class WatchedStorage(FolderStorage):
    """A folder that notes every call, and gives subclasses a word before and after it."""

    def __init__(self, root: Path):
        super().__init__(root)
        self.calls: list[tuple[str, str]] = []

    def before(self, call: str, name: str) -> None:
        """May raise instead of doing it."""

    def after(self, call: str, name: str) -> None:
        """May raise although it was done."""

    def _watched(self, call, name, *arguments):
        self.calls.append((call, name))
        self.before(call, name)
        result = getattr(super(), call)(name, *arguments)
        self.after(call, name)
        return result

    def put(self, name: str, data: bytes) -> None:
        self._watched("put", name, data)

    def get(self, name: str) -> bytes:
        return self._watched("get", name)

    def list(self, prefix: str) -> dict[str, int]:
        return self._watched("list", prefix)

    def stat(self, name: str) -> Stat:
        return self._watched("stat", name)

    def delete(self, name: str) -> None:
        self._watched("delete", name)

    def set_aside(self, name: str) -> None:
        self._watched("set_aside", name)

    def names_of(self, call: str) -> list[str]:
        """The names of all calls of one kind, in their order."""
        return [name for other, name in self.calls if other == call]


class DyingStorage(WatchedStorage):
    """Its call number `at` fails, before or after it was done; then all of them (a kill), or none (a hiccup)."""

    def __init__(self, root: Path, at: int, done: bool, for_good: bool):
        super().__init__(root)
        self.at, self.done, self.for_good = at, done, for_good

    @property
    def failed(self) -> bool:
        """Whether the call number `at` came."""
        return len(self.calls) >= self.at

    def before(self, call: str, name: str) -> None:
        if (len(self.calls) == self.at and not self.done) or (len(self.calls) > self.at and self.for_good):
            raise StorageError(f"{call} of {name}: Input/output error")

    def after(self, call: str, name: str) -> None:
        if len(self.calls) == self.at and self.done:
            raise StorageError(f"{call} of {name}: Input/output error")


class ReferenceNormal:
    """A normal distribution of (B, A) actions, clipped to -1 and 1: for autograd, by torch.distributions."""

    def __init__(self, mean: torch.Tensor, log_std: torch.Tensor):
        self._normal = torch.distributions.Normal(mean, log_std.exp())

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(B,) log-density within the bounds, log-probability of the whole tail at a bound or beyond."""
        mean, std = self._normal.mean, self._normal.stddev
        tail = torch.special.log_ndtr((actions.sign() * mean - 1) / std)
        return torch.where(actions.abs() < 1, self._normal.log_prob(actions), tail).sum(-1)

    def entropy(self) -> torch.Tensor:
        """(B,) before clipping."""
        return self._normal.entropy().sum(-1)
