"""A run's folder, the same on this machine and in the store.

    run.json                                   identity and config; written once
    checkpoints/00000200-<sha8>.safetensors    the whole training state: generation, first 8 digits of its SHA-256
    checkpoints/00000200-<sha8>.json           its manifest, written last; names its parent
    replay/<first>-<last>-<sha8>.safetensors   rows of past experience, which manifests share
    metrics/00000200-<sha8>.csv                rows since the generation before
    telemetry/00000200-<sha8>.npz              evaluation episodes, channel by channel
    sessions/00000003-<id>.json                which session has the run
    videos/  reports/  exports/                what a person asked for
"""

from __future__ import annotations

import re

RUN_JSON = "run.json"
CHECKPOINTS, METRICS, TELEMETRY, REPLAY = FOLDERS = ("checkpoints/", "metrics/", "telemetry/", "replay/")
SESSIONS = "sessions/"
VIDEOS, REPORTS, EXPORTS = "videos/", "reports/", "exports/"

_NUMBERED = re.compile(r"\w+/(?P<generation>\d{8,})-[0-9a-f]{8}\.\w+(\.\d+)?(\.bad)?", re.ASCII)
_MANIFEST = re.compile(rf"{CHECKPOINTS}(?P<generation>\d{{8,}})-[0-9a-f]{{8}}\.json", re.ASCII)


def numbered_name(folder: str, generation: int, sha256: str, suffix: str) -> str:
    """The name of one of a checkpoint's files, by its generation and content."""
    return f"{folder}{generation:08d}-{sha256[:8]}.{suffix}"


def file_generation(name: str) -> int | None:
    """The generation in the name of any of a checkpoint's files, set aside or not. None for another file."""
    match = _NUMBERED.fullmatch(name)
    return int(match["generation"]) if match else None


def manifest_generation(name: str) -> int | None:
    """The generation in the name of a manifest's file. None for another file."""
    match = _MANIFEST.fullmatch(name)
    return int(match["generation"]) if match else None
