"""`export`: a checkpoint's policy as a folder to take away, here and in the store."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import colab_rl
from colab_rl.arguments import checked
from colab_rl.checkpoints.layout import EXPORTS, VIDEOS
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.commands.changed_code import say_what_changed
from colab_rl.environments import EnvironmentSource
from colab_rl.errors import ColabRLError
from colab_rl.policies.export import check_packages, contents_of, newest_video
from colab_rl.policies.folder import ABOUT, check_free, read_folder, write_folder
from colab_rl.policies.load import find_checkpoint
from colab_rl.policies.policy import Score
from colab_rl.progress import say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Location, Places
from colab_rl.storage import absolute_path
from colab_rl.views.files import keep_in_store


@dataclass(frozen=True)
class Export:
    """An exported folder.

    path: the folder. files: names in it. checkpoint: the generation. score: of 100 fresh episodes.
    max_difference: the largest difference of an action of policy.onnx, as a share of its range; None without it.
    missing: why there is no ONNX form, None if there is one.
    store: where its copy is in the store, None if there is none; store_error: why not.
    store_state: of the copy: `verified`, `written` (to a mount, which proves no more) or `absent`.
    """

    path: Path
    files: list[str]
    checkpoint: int
    score: Score
    max_difference: float | None
    missing: str | None
    store: str | None
    store_state: str
    store_error: str | None

    def to_json(self) -> dict[str, Any]:
        """What `export --json` prints."""
        return {"path": str(self.path), "files": self.files, "checkpoint": self.checkpoint, "score": float(self.score),
                "max_difference": self.max_difference}

    def summary(self) -> str:
        """The folder, its checkpoint and its copy in the store, in a few lines."""
        exactness = (f"no policy.onnx: {self.missing}; the torch form is in the folder" if self.missing else
                     f"actions of policy.onnx differ by {self.max_difference:.1e} of their range at most")
        lines = [f"{self.path}: {', '.join(self.files)}", f"generation {self.checkpoint}: {self.score}", exactness]
        return "\n".join(lines + ([f"copy in the store, {self.store_state}: {self.store}"] if self.store else []))


@checked
def export(run: str, *, checkpoint: str | int = "best", out: str | os.PathLike | None = None,
           env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> Export:
    """Writes a checkpoint's policy as a folder that runs without colab_rl, and copies it to the store.

    checkpoint: `best`, `latest` or a generation.
    out: the folder, which must not exist yet. By default it is in the run's exports/. A whole folder of this checkpoint
        is kept as it is.
    env: give it if the run trains on a function.

    It plays 100 deterministic episodes first, and puts their score into the folder.
    Raises UsageError for an unknown run or checkpoint. Raises ColabRLError if it cannot make the folder. Then it writes
    nothing.
    """
    check_packages()
    out = None if out is None else absolute_path(out, "out")
    if out is not None:
        check_free(out)
    places = Places(root, store)
    identity = places.require(run)
    source = identity.environment(env, "export")
    found = find_checkpoint(identity, places, checkpoint)
    folder = places.local(run).root
    path = out if out is not None else folder / EXPORTS / found.manifest.stem
    if not _is_of(path, identity, found):
        if path.exists():
            say(f"{path} exists already, and will be replaced")
        say_what_changed(identity, found.manifest, source)
        contents, about = contents_of(identity, found, source, newest_video(folder / VIDEOS))
        write_folder(path, contents, about)
    about, _ = read_folder(path)  # as its user will
    return Export(path, sorted([*about["files"], ABOUT]), found.manifest.generation, Score(**about["score"]),
                  about["max_difference"], about["onnx"].get("missing"),
                  *keep_in_store(places, identity, EXPORTS + found.manifest.stem, path, [*about["files"], ABOUT]))


def _is_of(path: Path, identity: Identity, checkpoint: Checkpoint) -> bool:
    """Whether a folder is a whole export of that checkpoint by this version."""
    with contextlib.suppress(ColabRLError, KeyError):
        about, _ = read_folder(path)
        return (about["provenance"]["run_id"] == identity.run_id
                and about["provenance"]["state_sha256"] == checkpoint.manifest.state_sha256
                and about["versions"]["colab_rl"] == colab_rl.__version__)
    return False
