"""The statistics of Agarwal et al. 2021, compared with the numbers of their own library.

The numbers are those of rliable 1.2.0, with `A` and `B` as below:

    metrics.aggregate_iqm(A)
    metrics.probability_of_improvement(A, B)
    rly.create_performance_profile({"A": A}, TAUS, reps=20_000)
    rly.get_interval_estimates({"A": A, "B": B}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=50_000)
    rly.get_interval_estimates({"AB": (A, B)}, metrics.probability_of_improvement, reps=20_000)
"""

import numpy as np
import pytest

from colab_rl.sweeps import statistics

A = np.array([[0.9, 1.2], [0.4, 1.1], [1.3, 0.7], [0.8, 0.9], [1.1, 1.6], [0.2, 0.5], [0.7, 1.0], [1.0, 1.4],
              [0.6, 0.3], [1.5, 0.8]])
B = np.array([[0.5, 1.2], [0.6, 0.9], [0.8, 0.2], [0.8, 0.4], [0.1, 1.0], [0.7, 0.6], [0.9, 0.7]])
TAUS = np.array([0.0, 0.5, 0.8, 1.0, 1.2])


def ends(interval):
    return [interval.low, interval.high]


def test_the_numbers_of_rliable():
    a, b = statistics.iqm_interval(A), statistics.iqm_interval(B)
    assert [a.value, b.value, statistics.iqm(A[:, 0])] == pytest.approx([0.9, 0.7, 0.85], abs=1e-12)
    assert ends(a) == pytest.approx([0.71, 1.09], abs=0.025)  # by chance two bootstraps differ
    assert ends(b) == pytest.approx([0.5125, 0.8375], abs=0.025)

    better = statistics.probability_of_improvement(A, B)
    assert better.value == pytest.approx(0.675, abs=1e-12)
    assert ends(better) == pytest.approx([0.4821, 0.8464], abs=0.02)

    profile = statistics.performance_profile(A, TAUS)
    assert profile.value == pytest.approx([1.0, 0.8, 0.55, 0.35, 0.2], abs=1e-12)
    assert profile.low == pytest.approx([1.0, 0.6, 0.35, 0.15, 0.05], abs=0.051)  # its steps are 0.05
    assert profile.high == pytest.approx([1.0, 0.95, 0.75, 0.55, 0.4], abs=0.051)


def test_the_middle_half_is_what_scipy_keeps():
    generator = np.random.default_rng(0)
    stats = pytest.importorskip("scipy.stats", reason="scipy says what a trimmed mean is")
    for count in range(1, 30):
        scores = generator.normal(size=count)
        assert statistics.iqm(scores) == pytest.approx(stats.trim_mean(scores, 0.25))


def test_a_single_run_has_no_interval_and_a_tie_counts_a_half():
    one = statistics.iqm_interval(np.array([[3.0]]))
    assert one.value == 3.0 and np.isnan(one.low) and np.isnan(one.high)
    assert statistics.probability_of_improvement(np.ones((2, 1)), np.ones((3, 1))).value == 0.5


def test_an_interval_of_a_curve_is_that_of_its_points():
    curves = np.random.default_rng(1).normal(size=(6, 3))
    found = statistics.curve_interval(curves)
    for point in range(3):
        alone = statistics.iqm_interval(curves[:, point:point + 1])
        assert (found.value[point], found.low[point], found.high[point]) == pytest.approx(tuple(alone))


def test_intervals_are_the_same_each_time():
    assert statistics.iqm_interval(A) == statistics.iqm_interval(A)


@pytest.mark.parametrize(("values", "expected"), [
    ([7.0], 7.0), ([1.0, 3.0], 2.0), ([0.0, 1.0, 2.0, 1e9], 1.5), ([4.0, -1e9, 2.0, 3.0, 1.0, 1e9, 5.0, 6.0], 3.5),
    ([0.0, 1.0, 2.0, 3.0, 100.0], 2.0)])
def test_the_interquartile_mean_is_that_of_the_middle_half(values, expected):
    assert statistics.iqm(np.array(values)) == pytest.approx(expected)


def test_a_95_percent_interval_holds_the_truth_in_some_95_of_100_samples():
    generator = np.random.default_rng(3)
    held = [found.low <= 5.0 <= found.high
            for found in (statistics.iqm_interval(generator.normal(5, 2, (40, 1))) for _ in range(100))]
    assert 86 <= sum(held) <= 100
