"""The progress of a sweep, in a terminal: a row for each trial that ends, and one line of those that train."""

from __future__ import annotations

from colab_rl.progress import progress_bar, say
from colab_rl.sweeps.driver import Picture
from colab_rl.sweeps.plan import Plan
from colab_rl.sweeps.trials import HEAD, Record
from colab_rl.views.values import duration, text_of

MOST_SHOWN = 4  # runs in the line


class TerminalTable:
    """A driver.SweepWatcher on standard error."""

    def __init__(self, plan: Plan):
        self._sweep = plan.sweep
        self._bar = progress_bar(plan.trials, plan.sweep, "trial", delay=0, bar_format="{desc}: {n_fmt} of {total_fmt} "
                                 "trials [{elapsed}]{postfix}")
        self._told_head = False

    def show(self, picture: Picture) -> None:
        """See driver.SweepWatcher."""
        words = []
        for live in picture.live[:MOST_SHOWN]:
            score = "" if live.score is None else f"score {text_of(live.score)}"
            words.append(" ".join(filter(None, (live.run.removeprefix(self._sweep + "-"), live.share, score))))
        if len(picture.live) > MOST_SHOWN:
            words.append(f"and {len(picture.live) - MOST_SHOWN} more")
        if picture.left is not None:
            words.append(f"{duration(picture.left)} left")
        self._bar.set_postfix_str(", ".join(words), refresh=False)
        self._bar.n = picture.ended_trials
        self._bar.refresh()

    def ended(self, trial: int, record: Record) -> None:
        """See driver.SweepWatcher."""
        if not self._told_head:
            say(HEAD)
            self._told_head = True
        say(record.trial(trial).line())

    def close(self) -> None:
        """Leaves the line as it is."""
        self._bar.close()
