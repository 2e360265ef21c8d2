"""Figures of a run: plain functions from tables and episodes to `plotly.graph_objects.Figure`; `comparison` to a table.

    from colab_rl import dashboards, record
    dashboards.learning("walker").show()
    dashboards.gait(record("walker")).show()
    dashboards.learning(dashboards.Curves("mine", {"step": steps, "episode/return": returns})).show()

All interaction is inside the figures, so that they work wherever Plotly shows one.
"""

from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.views.dashboards.comparison import Contender, Table, comparison, scores
from colab_rl.views.dashboards.curves import Curves, Mark, table_of
from colab_rl.views.dashboards.gait import gait
from colab_rl.views.dashboards.gradients import optimizer
from colab_rl.views.dashboards.health import diagnose
from colab_rl.views.dashboards.learning import learning
from colab_rl.views.dashboards.phases import phase_portraits
from colab_rl.views.dashboards.strides import stride_cycle

__all__ = ["Contender", "Curves", "Mark", "Table", "bootstrap_interval", "comparison", "diagnose", "gait", "learning",
           "optimizer", "phase_portraits", "scores", "stride_cycle", "table_of"]
