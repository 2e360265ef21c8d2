"""Tuned settings of TQC by environment; what is not named here is the config's default.

BipedalWalker-v3 and Pendulum-v1 were tried (docs/results.md). LunarLander has SAC's preset, untried. So has Hardcore,
where SAC learns faster (docs/lab/sac.md).
"""

from __future__ import annotations

from typing import Any

from colab_rl.algorithms.sac.presets import PRESETS as SAC_PRESETS

PRESETS: dict[str, dict[str, Any]] = {
    "BipedalWalker-v3": {**SAC_PRESETS["BipedalWalker-v3"], "total_steps": 300_000},
    **{env_id: SAC_PRESETS[env_id]
       for env_id in ("BipedalWalkerHardcore-v3", "LunarLanderContinuous-v3", "Pendulum-v1")},
}
