"""What the cells of 04_sweep call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from colab_rl.arguments import checked
from colab_rl.colab import install
from colab_rl.colab.names import stripped
from colab_rl.colab.shown import framed, offer
from colab_rl.environments import EnvironmentSource
from colab_rl.sweeps.trials import SweepResult
from colab_rl.views.live_sweep import LiveSweep


@checked
def sweep_live(sweep: str, store: str = "", root: str | os.PathLike | None = None, *,
               env: EnvironmentSource | None = None, seeds: str = "", seed: int = 0,
               search: Mapping[str, Any] | None = None, **options: Any) -> SweepResult:
    """`sweep` with a plot and a table in the cell's output; says how it ended and what to do next.

    seeds: empty for `seed` alone. Installs Optuna first if there is a search and it is missing. options: of `sweep`.
    """
    from colab_rl.commands.sweep import sweep as train_all

    if search:
        install.complete_search()
    result = train_all(sweep.strip(), store=store or None, root=root, env=stripped(env), seeds=seeds.strip() or seed,
                       search=search, watcher=LiveSweep(), **options)
    print(result.table(), result.summary(), sep="\n")
    for problem in result.problems:
        print(problem)
    print("Next: the cell below shows all trials; more SEEDS or TRIALS extend the sweep." if result.finished
          else "Next: Run all continues from here.")
    return result


@checked
def show_sweep(sweep: str, store: str = "", root: str | os.PathLike | None = None) -> None:
    """The report of a sweep in the cell's output, and for download."""
    from IPython.display import display

    from colab_rl.views.report import report

    path = report(sweep.strip(), store=store or None, root=root)
    offer(path)
    display(framed(path.read_text()), raw=True)
