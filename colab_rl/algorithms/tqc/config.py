"""The settings of TQC."""

from __future__ import annotations

from dataclasses import dataclass

from colab_rl.algorithms.sac.config import SACConfig
from colab_rl.errors import UsageError
from colab_rl.settings import setting


@dataclass(frozen=True, kw_only=True)
class TQCConfig(SACConfig):
    """Truncated Quantile Critics (Kuznetsov et al. 2020, arXiv:2005.04269), beside the settings of SAC."""

    critics: int = setting(2, "Q networks", low=1, high=100, shapes_state=True)
    quantiles: int = setting(25, "quantiles of the return that each Q network gives", low=1, high=1000,
                             shapes_state=True)
    dropped_quantiles: int = setting(2, "largest quantiles of the targets that are left out, for each Q network", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dropped_quantiles >= self.quantiles:
            raise UsageError(f"dropped_quantiles = {self.dropped_quantiles} leaves none of quantiles = "
                             f"{self.quantiles}: choose fewer")
