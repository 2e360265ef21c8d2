"""Videos of a run's policies: `render` makes one."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`render`, imported when it is asked for: the encoder alone is there without torch."""
    if name == "render":
        from colab_rl.views.video.film import render
        return render
    raise AttributeError(name)
