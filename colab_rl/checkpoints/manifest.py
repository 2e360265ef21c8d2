"""The manifest: the small JSON whose arrival commits a checkpoint.

    checkpoints/00000200-<sha8>.json
    {
      "format": 2,                    1 if there is neither "earlier" nor "confirmed"
      "run_id": "9f0c...",            which run it belongs to
      "generation": 200, "parent": "00000199-1a2b3c4d",
      "iteration": ..., "step": ..., "total_steps": ..., "finished": false,
      "score": 312.4, "criterion": 312.4, "state_sha256": "...", "seconds": 96.1,
      "created": "2026-11-22T09:00:00+00:00",
      "exact": true, "inexact": [], "versions": {"torch": "2.13.0", ...},
      "files": {"checkpoints/00000200-<sha8>.safetensors": {"size": ..., "sha256": ..., "md5": ...}, ...},
      "history": {"metrics/00000001-<sha8>.csv": {...}, ...},
      "earlier": {"checkpoints/00000199-<sha8>.json": {"file": {...}, "generation": 199, "score": ..., ...}, ...},
      "confirmed": {"generation": 190, "mean": 311.9, "low": ..., "high": ..., ...},     of a finished run's newest
      "manifest_sha256": "..."        over all of the above
    }
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any

from colab_rl.checkpoints.layout import CHECKPOINTS, REPLAY, manifest_generation
from colab_rl.errors import ColabRLError
from colab_rl.sealed import sealed, unsealed
from colab_rl.storage import check_name

FORMAT = 2


class Damaged(ColabRLError):
    """A checkpoint that is not whole, or not this run's."""


@dataclass(frozen=True)
class FileRecord:
    """What a file must be: size in bytes, hashes in hexadecimal."""

    size: int
    sha256: str
    md5: str

    @classmethod
    def of(cls, data: bytes) -> FileRecord:
        """The record of these bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest(), hashlib.md5(data, usedforsecurity=False).hexdigest())

    def to_json(self) -> dict[str, Any]:
        """As a manifest holds it."""
        return {"size": self.size, "sha256": self.sha256, "md5": self.md5}

    def check(self, name: str, data: bytes) -> None:
        """Raises Damaged unless `data` is the file."""
        if len(data) != self.size:
            raise Damaged(f"{name} has {len(data)} bytes, not {self.size}")
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise Damaged(f"{name} has other content than was saved")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One checkpoint.

    files: without these it does not exist: the training state, the metrics since the parent, and the replay segments
        that hold past experience, which manifests share.
    history: the metrics before. If one of them is damaged the run continues, and its curves have a gap.
    earlier: what the manifests of the checkpoints before say, so that a list of many runs reads one manifest of each
        (`earlier_of`). A file of theirs that this manifest names too stands there as None.
    confirmed: the score that the run ended with (confirmation.py). It is empty while a finished run's score is still to
        be measured, and None if there is nothing to measure: of an unfinished run, of one whose score_episodes is 0, or
        of one that version 0.1.0 finished.
    score, criterion: of an evaluation at this step, if there was one: its mean, and what `best_by` makes of it.
    seconds: wall time of training up to here, over all sessions.
    exact, inexact: whether the run came here exactly, and if not, why.
    """

    run_id: str
    generation: int
    parent: str | None
    iteration: int
    step: int
    total_steps: int
    finished: bool
    score: float | None
    criterion: float | None
    state_sha256: str
    seconds: float
    created: str
    versions: dict[str, str]
    exact: bool = True
    inexact: list[str] = field(default_factory=list)
    files: dict[str, FileRecord]
    history: dict[str, FileRecord] = field(default_factory=dict)
    earlier: dict[str, dict[str, Any]] = field(default_factory=dict)
    confirmed: dict[str, Any] | None = None

    @property
    def state_file(self) -> str:
        """Name of the training state's file."""
        return next(name for name in self.files if name.startswith(CHECKPOINTS))

    @property
    def segments(self) -> dict[str, FileRecord]:
        """Those of the files that are replay segments (segments.py)."""
        return {name: record for name, record in self.files.items() if name.startswith(REPLAY)}

    @property
    def name(self) -> str:
        """Name of the manifest's own file."""
        return self.state_file.removesuffix(".safetensors") + ".json"

    @property
    def stem(self) -> str:
        """Generation and hash, `00000200-<sha8>`."""
        return self.name.removeprefix(CHECKPOINTS).removesuffix(".json")

    @functools.cached_property
    def record(self) -> FileRecord:
        """What the manifest's own file must be."""
        return FileRecord.of(self.to_bytes())

    @functools.cached_property
    def earlier_manifests(self) -> dict[str, tuple[FileRecord, Manifest]]:
        """What this one says of each manifest before, by its file's name: that file's record, and all but its history,
        versions, `earlier` and `confirmed`. None of them if the text makes no sense.
        """
        known, found = {**self.history, **self.files}, {}
        try:
            for name, entry in self.earlier.items():
                content = {**entry, "versions": {}, "files": {
                    file: FileRecord(**record) if record else known[file] for file, record in entry["files"].items()}}
                found[name] = FileRecord(**content.pop("file")), Manifest(**content)
        except (KeyError, TypeError, AttributeError):
            return {}
        return found

    def to_json(self) -> dict[str, Any]:
        """What the JSON file holds. Not `dataclasses.asdict`, which would copy all that it says of earlier ones."""
        return {**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
                **{part: {name: record.to_json() for name, record in records.items()}
                   for part, records in (("files", self.files), ("history", self.history))}}

    def to_bytes(self) -> bytes:
        """The JSON file. Without `earlier` and `confirmed` it is that of format 1."""
        second = bool(self.earlier) or self.confirmed is not None
        content = {"format": FORMAT if second else 1, **self.to_json()}
        if not self.earlier:
            del content["earlier"]
        if self.confirmed is None:
            del content["confirmed"]
        return sealed(content, "manifest")

    @classmethod
    def from_bytes(cls, name: str, data: bytes, run_id: str) -> Manifest:
        """Reads the manifest file `name`. Raises Damaged, or NewerFormat."""
        try:
            content = unsealed(data, "manifest", FORMAT, name)
            del content["format"]
            for key in ("files", "history"):
                content[key] = {file: FileRecord(**record) for file, record in content[key].items()}
            manifest = cls(**content)
            for file in (*manifest.files, *manifest.history):
                check_name(file)
            if not isinstance(manifest.confirmed, dict | None):
                raise ValueError("confirmed is no object")
            own_name = manifest.name
            if manifest_generation(own_name) != manifest.generation:
                raise ValueError("named for another generation")
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration, RecursionError) as error:
            raise Damaged(f"{name} is not a whole manifest: {error}") from error
        if manifest.run_id != run_id:
            raise Damaged(f"{name} belongs to another run")
        if own_name != name:
            raise Damaged(f"{name} is the manifest of {manifest.stem}")
        return manifest
