"""An exported folder: written whole or not at all, and each of its files compared with its hash when it is read.

    policy.json          what the policy is, where it comes from, and the SHA-256 of every other file
    policy.onnx          observations to actions, all in one graph (graph.py)
    policy.safetensors   the algorithm's state, for torch
    README.md            a model card        example.py   one episode        replay.mp4   or .gif, of a run with a video

Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from colab_rl.errors import ColabRLError, UsageError
from colab_rl.sealed import sealed, unsealed

FORMAT = 1
ABOUT, ONNX, STATE, CARD, EXAMPLE = "policy.json", "policy.onnx", "policy.safetensors", "README.md", "example.py"
YOURS = (CARD, EXAMPLE)  # which a person may edit


def is_folder(place: str | os.PathLike) -> bool:
    """Whether this names an exported folder and not a run: a path, or a folder that holds policy.json."""
    return isinstance(place, os.PathLike) or "/" in place or os.sep in place or Path(place, ABOUT).is_file()


def check_free(path: Path) -> None:
    """Raises ColabRLError if something is there, but an empty folder."""
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise ColabRLError(f"{path} exists already; nothing was changed; give another --out, or move it away")


def write_folder(path: Path, contents: Mapping[str, bytes], about: Mapping[str, Any]) -> dict[str, bytes]:
    """Writes the files and policy.json, all or none; what is there before is replaced. Returns all of them.

    Raises ColabRLError if the disk refuses.
    """
    files = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
    written = {**contents, ABOUT: sealed({"format": FORMAT, **about, "files": files}, "policy")}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=path.parent) as temporary:
            new, old = Path(temporary, "new"), Path(temporary, "old")
            new.mkdir()
            for name, data in written.items():
                (new / name).write_bytes(data)
            if path.exists():
                path.rename(old)
            new.rename(path)
    except OSError as error:
        raise ColabRLError(f"{path} cannot be written: {error}; nothing was exported") from error
    return written


def read_about(folder: Path) -> dict[str, Any]:
    """The content of policy.json. Raises UsageError if the folder is no export, ColabRLError if it is damaged or newer
    than this version.
    """
    try:
        return unsealed((folder / ABOUT).read_bytes(), "policy", FORMAT, str(folder))
    except FileNotFoundError:
        raise UsageError(f"{folder} is no exported policy: it has no {ABOUT}; python -m colab_rl export RUN makes one"
                         ) from None
    except (OSError, ValueError) as error:
        raise ColabRLError(f"{folder / ABOUT} cannot be read ({error}); export the policy again") from error


def read_file(folder: Path, about: Mapping[str, Any], name: str) -> bytes:
    """A file of the folder, checked. Raises ColabRLError if it is missing, cut or changed."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise ColabRLError(f"{folder / name} cannot be read ({error.strerror}); export the policy again") from error
    if hashlib.sha256(data).hexdigest() != about["files"][name]["sha256"]:
        raise ColabRLError(f"{folder / name} has other content than was exported; export the policy again")
    return data


def read_folder(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """policy.json and all files, checked, but for those that a person may have edited. Raises as `read_about` does."""
    about = read_about(folder)
    for name in about["files"]:
        if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
            raise ColabRLError(f"{folder / ABOUT} names a file {name!r}; export the policy again")
    return about, {name: read_file(folder, about, name) for name in about["files"] if name not in YOURS}
