"""Train, understand and show a reinforcement-learning policy on Google Colab.

    from colab_rl import train, status, evaluate, verify
    train("walker", env="BipedalWalker-v3", store="/content/drive/MyDrive/colab_rl")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colab_rl.benchmark import bench
    from colab_rl.environments.channels import Channels, Drawing
    from colab_rl.errors import ColabRLError, UsageError
    from colab_rl.inspection import evaluate, record, status, verify
    from colab_rl.telemetry import Episode
    from colab_rl.training import TrainingResult, train
    from colab_rl.views import dashboards
    from colab_rl.views.report import report

_HOMES = {"train": "training", "TrainingResult": "training", "status": "inspection", "verify": "inspection",
          "evaluate": "inspection", "record": "inspection", "Channels": "environments.channels",
          "Drawing": "environments.channels", "Episode": "telemetry", "report": "views.report", "bench": "benchmark",
          "ColabRLError": "errors", "UsageError": "errors"}

__all__ = ["Channels", "ColabRLError", "Drawing", "Episode", "TrainingResult", "UsageError", "bench", "dashboards",
           "evaluate", "record", "report", "status", "train", "verify"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: worker processes and `--help` need not pay for torch."""
    if name == "dashboards":
        return importlib.import_module("colab_rl.views.dashboards")
    if name not in _HOMES:
        raise AttributeError(f"module 'colab_rl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"colab_rl.{_HOMES[name]}"), name)
