"""JSON files that show if their content was changed: manifests, run.json, plan.json, policy.json.

The last entry, such as `plan_sha256`, is the SHA-256 of all the others. `format` says which version of colab_rl can
read the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from colab_rl.errors import ColabRLError


class NewerFormat(ColabRLError):
    """A newer version of colab_rl wrote a file: it is whole, and this version cannot read it."""


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sealed(content: Mapping[str, Any], name: str) -> bytes:
    """The file. name: of what it holds. The content has a `format`."""
    return json.dumps({**content, f"{name}_sha256": checksum(content)}, indent=1).encode()


def unsealed(data: bytes, name: str, newest: int, place: str) -> dict[str, Any]:
    """The content of a file, without its hash.

    newest: format that can be read. place: of the file, for people. Raises NewerFormat, and ValueError for what is not
    whole.
    """
    try:
        content = json.loads(data)
        digest, version = content.pop(f"{name}_sha256"), content["format"]
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"it is no {name}: {error}") from error
    if checksum(content) != digest:
        raise ValueError("other content than was saved")
    if isinstance(version, int) and version > newest:
        raise NewerFormat(f"{place} was written by a newer colab_rl (format {version}, this one reads up to {newest}); "
                          "nothing was changed; install the newer version")
    return content
