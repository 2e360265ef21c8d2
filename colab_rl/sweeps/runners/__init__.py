"""What trains a sweep's runs: processes of this machine, or a Ray cluster."""

from colab_rl.sweeps.runners.base import Ended, Event, Progress, Runner, Task

__all__ = ["Ended", "Event", "Progress", "Runner", "Task"]
