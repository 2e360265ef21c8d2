"""The live plot: what it shows, and that it stays light."""

import math
import re

import pytest

from colab_rl.progress import Watcher
from colab_rl.views.live import MOST_POINTS, RAREST, LivePlot, Series, short, ticks
from colab_rl.views.values import duration


class Hours:
    """A training of `hours` with a row every `seconds`, shown on a clock of its own."""

    def __init__(self, hours, seconds=0.5):
        self.now, self.times, self.shown = 0.0, [], []
        self.plot = LivePlot("walker", self.show, lambda: self.now)
        self.plot.goal(10_000_000)
        for number in range(int(hours * 3600 / seconds)):
            self.now += seconds
            self.plot.row(row_of(number, seconds), "checkpoint 3: verified")
        self.plot.close()

    def show(self, bundle):
        self.times.append(self.now)
        self.shown.append(bundle)


def row_of(number, seconds=0.5):
    row = {"iteration": number + 1, "step": 100.0 * (number + 1), "seconds": seconds * (number + 1),
           "episode/return": 300 * (1 - math.exp(-number / 500))}
    return row | ({"evaluation/score": row["episode/return"] + 5} if number % 100 == 99 else {})


def test_it_is_a_watcher():
    assert isinstance(LivePlot("walker", print), Watcher)


def test_an_update_comes_once_a_second_at_most_and_twelve_hours_stay_light():
    day = Hours(12)
    apart = [later - earlier for earlier, later in zip(day.times[1:-1], day.times[2:-1], strict=False)]
    assert min(apart) >= 1.0 and max(apart) <= RAREST + 0.5
    assert apart[100] == 1.0  # in the first minutes each second
    assert sum(len(bundle["text/html"]) for bundle in day.shown) < 60e6
    assert max(len(bundle["text/html"]) for bundle in day.shown) < 15_000


def test_evaluations_have_their_interval_and_there_is_a_frame_before_the_first_episode_ends():
    shown = []
    plot = LivePlot("walker", shown.append, lambda: 0.0, goal=300)
    plot.goal(1000)
    assert "solved at 300" in shown[-1]["text/html"] and 'stroke-dasharray="6 4"' in shown[-1]["text/html"]
    plot.row({"step": 500.0, "seconds": 1.0, "evaluation/score": 290.0, "evaluation/std": 50.0,
              "evaluation/episodes": 25.0}, "")
    svg = shown[-1]["text/html"]
    x, bottom, top = map(float, re.search(r'd="M([\d.]+) (\d+)V(\d+)"', svg).groups())
    center = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert x == float(center[1]) and top < float(center[2]) < bottom


def test_it_says_where_training_is():
    shown = Hours(0.1).shown[-1]
    assert shown["text/plain"] == (
        "walker: step 72,000 of 10,000,000 (1 %), speed 200 steps/s, time left 13 h 47 min, trained for 6 min, "
        "return 228.8, best evaluation 230.9, saved checkpoint 3: verified")
    assert shown["text/html"].count("<circle") == 7 and shown["text/html"].count("<polyline") == 1


def test_a_long_evaluation_changes_the_speed_little():
    """Rows of 1 s, of which each 60th takes another 60 s: half of the time is the evaluations'."""
    plot, speeds, seconds = LivePlot("walker", lambda bundle: None, lambda: 0.0), [], 0.0
    for number in range(2000):
        seconds += 61 if number % 60 == 59 else 1
        plot.row({"step": 4096.0 * number, "seconds": seconds}, "")
        speeds.append(plot.speed)
    assert all(1500 < speed < 2700 for speed in speeds[500:])


def test_rows_of_earlier_sessions_are_drawn_and_not_counted_for_speed():
    shown = []
    plot = LivePlot("walker", shown.append, lambda: 0.0)
    for number in range(50):
        plot.past(row_of(number))
    plot.goal(5000)
    assert plot.speed is None and len(shown) == 1
    assert "<polyline" in shown[0]["text/html"] and "step 5,000 of 5,000 (100 %)" in shown[0]["text/plain"]


def test_nothing_in_it_is_markup():
    shown = []
    plot = LivePlot("walker", shown.append, lambda: 0.0)
    plot.goal(100)
    plot.row({"step": 1, "seconds": 1}, "checkpoint 1: local (<script>alert(1)</script>)")
    plot.close()
    assert "<script" not in shown[-1]["text/html"]


def test_a_series_keeps_its_ends_and_its_mean():
    series = Series(MOST_POINTS)
    for number in range(100_001):
        series.add(number, number)
    assert len(series.points) <= MOST_POINTS + 1
    assert series.points[-1] == (100_000, 100_000)
    assert all(x == pytest.approx(y) for x, y in series.points)
    assert [x for x, _ in series.points] == sorted(x for x, _ in series.points)


@pytest.mark.parametrize(("low", "high", "expected"), [
    (0, 2_000_000, [0, 500_000, 1_000_000, 1_500_000, 2_000_000]), (-120, 310, [-100, 0, 100, 200, 300]),
    (0.97, 1.03, [0.98, 1.0, 1.02])])
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high, 5) == expected


def test_numbers_are_short():
    assert [short(number) for number in (0, 500, 1500, 1_000_000, 2.5e6)] == ["0", "500", "1.5k", "1M", "2.5M"]
    assert [duration(seconds) for seconds in (5, 89, 90, 3599, 11_100)] == ["5 s", "89 s", "2 min", "1 h 00 min",
                                                                          "3 h 05 min"]
    assert re.match("[0-9]", duration(0))
