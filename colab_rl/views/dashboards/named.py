"""A run's name in place of its metrics or its episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from colab_rl.evaluation.episode import Episode
from colab_rl.runs.places import Location, Places
from colab_rl.views.dashboards.curves import Curves

Runs = str | Curves | Sequence[str | Curves]
Episodes = str | Episode | Mapping[str, Episode]


def curves_of(runs: Runs, root: Location = None, store: Location = None) -> list[Curves]:
    """The metrics of runs, which are read if a name is given. Raises UsageError for an unknown name."""
    from colab_rl.views.history import History  # which itself draws on this package

    def read(name: str) -> Curves:
        places = Places(root, store)
        return History(places.require(name), places).curves

    several = [runs] if isinstance(runs, (str, Curves)) else runs
    return [read(run) if isinstance(run, str) else run for run in several]


def episodes_of(episodes: Episodes, root: Location = None, store: Location = None) -> dict[str, Episode]:
    """Episodes by label; of a run's name those of its checkpoints, which are read, or played if they were not kept.

    Raises UsageError for an unknown name, and for a run on a function: give its episodes, from `record`.
    """
    from colab_rl.views.history import MOST_EPISODES, History

    if isinstance(episodes, Episode):
        return {"": episodes}
    if not isinstance(episodes, str):
        return dict(episodes)
    places = Places(root, store)
    history = History(places.require(episodes), places)
    return history.episodes(history.spread(MOST_EPISODES), history.identity.environment(None, "record"))
