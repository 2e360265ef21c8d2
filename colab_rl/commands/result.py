"""What commands return: dataclasses that read as dictionaries too."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass


@dataclass(frozen=True)
class Result(dict):
    """A dataclass that is also the dictionary of its fields, which `--json` prints.

    So `result.exact` and `result["exact"]` are the same, and `json.dumps(result)` works.
    """

    def __post_init__(self) -> None:
        self.update(dataclasses.asdict(self))
