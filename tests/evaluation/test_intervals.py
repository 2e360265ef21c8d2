"""Means and their intervals."""

import numpy as np
import pytest

from colab_rl.evaluation.intervals import bootstrap_interval, interquartile_interval, interquartile_mean


@pytest.mark.parametrize(("values", "expected"), [
    ([7.0], 7.0), ([1.0, 3.0], 2.0), ([0.0, 1.0, 2.0, 1e9], 1.5), ([4.0, -1e9, 2.0, 3.0, 1.0, 1e9, 5.0, 6.0], 3.5),
    ([0.0, 1.0, 2.0, 3.0, 100.0], (0.75 * 1 + 1 * 2 + 0.75 * 3) / 2.5)])
def test_the_interquartile_mean_is_that_of_the_middle_half(values, expected):
    assert interquartile_mean(np.array(values)) == pytest.approx(expected)


@pytest.mark.parametrize("interval", [bootstrap_interval, interquartile_interval])
def test_a_95_percent_interval_holds_the_truth_in_some_95_of_100_samples(interval):
    generator = np.random.default_rng(3)
    held = [low <= 5.0 <= high for low, high in (interval(generator.normal(5, 2, 40)) for _ in range(100))]
    assert 86 <= sum(held) <= 100


def test_an_interval_is_the_same_each_time_and_a_point_without_spread():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(np.full(5, 500.0)) == (500.0, 500.0) == interquartile_interval(np.full(1, 500.0))
