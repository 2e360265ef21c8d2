"""Train, understand and show a reinforcement-learning policy on Google Colab.

    from colab_rl import train, status, evaluate, verify, render
    train("walker", env="BipedalWalker-v3", store="/content/drive/MyDrive/colab_rl")
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from colab_rl.algorithms.base import Algorithm
    from colab_rl.commands.bench import bench
    from colab_rl.commands.evaluate import evaluate, record
    from colab_rl.commands.export import Export, export
    from colab_rl.commands.status import status
    from colab_rl.commands.sweep import sweep
    from colab_rl.commands.verify import verify
    from colab_rl.environments.channels import Channels, Drawing
    from colab_rl.errors import ColabRLError, UsageError
    from colab_rl.evaluation.episode import Episode
    from colab_rl.networks.base import Network
    from colab_rl.policies.policy import Policy, load_policy
    from colab_rl.runs.push import push
    from colab_rl.runs.removal import delete
    from colab_rl.sweeps.trials import SweepResult
    from colab_rl.training.result import TrainingResult
    from colab_rl.training.session import train
    from colab_rl.views import dashboards
    from colab_rl.views.history import history
    from colab_rl.views.report import report
    from colab_rl.views.video.film import Video, render

_HOMES = {"train": "training.session", "TrainingResult": "training.result", "status": "commands.status",
          "verify": "commands.verify", "sweep": "commands.sweep", "SweepResult": "sweeps.trials",
          "delete": "runs.removal", "evaluate": "commands.evaluate", "record": "commands.evaluate",
          "bench": "commands.bench", "export": "commands.export", "Export": "commands.export",
          "load_policy": "policies.policy", "Policy": "policies.policy", "push": "runs.push",
          "Channels": "environments.channels", "Drawing": "environments.channels",
          "Episode": "evaluation.episode", "report": "views.report", "history": "views.history",
          "render": "views.video.film", "Video": "views.video.film", "ColabRLError": "errors",
          "UsageError": "errors", "Algorithm": "algorithms.base", "Network": "networks.base"}

__all__ = [*_HOMES, "dashboards"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: worker processes and `--help` need not pay for torch."""
    if name == "dashboards":
        return importlib.import_module("colab_rl.views.dashboards")
    if name not in _HOMES:
        raise AttributeError(f"module 'colab_rl' has no attribute {name!r}")
    return getattr(importlib.import_module(f"colab_rl.{_HOMES[name]}"), name)
