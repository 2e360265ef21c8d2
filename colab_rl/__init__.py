"""Train, understand and show a reinforcement-learning policy on Google Colab.

    from colab_rl import train, status, evaluate, verify
    train("walker", env="BipedalWalker-v3", store="/content/drive/MyDrive/colab_rl")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colab_rl.benchmark import bench
    from colab_rl.errors import ColabRLError, UsageError
    from colab_rl.inspection import evaluate, status, verify
    from colab_rl.pushing import push
    from colab_rl.training import TrainingResult, train

_HOMES = {"train": "training", "TrainingResult": "training", "status": "inspection", "verify": "inspection",
          "evaluate": "inspection", "push": "pushing", "bench": "benchmark", "ColabRLError": "errors",
          "UsageError": "errors"}

__all__ = ["ColabRLError", "TrainingResult", "UsageError", "bench", "evaluate", "push", "status", "train", "verify"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: worker processes and `--help` need not pay for torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'colab_rl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"colab_rl.{_HOMES[name]}"), name)
