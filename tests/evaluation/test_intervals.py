"""Means and their intervals."""

import numpy as np

from colab_rl.evaluation.intervals import bootstrap_interval


def test_a_95_percent_interval_holds_the_truth_in_some_95_of_100_samples():
    generator = np.random.default_rng(3)
    held = [low <= 5.0 <= high for low, high in (bootstrap_interval(generator.normal(5, 2, 40)) for _ in range(100))]
    assert 86 <= sum(held) <= 100


def test_an_interval_is_the_same_each_time_and_a_point_without_spread():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(np.full(5, 500.0)) == (500.0, 500.0)


def test_no_values_have_no_interval():
    assert np.isnan(bootstrap_interval(np.zeros(0))).all() and np.isnan(bootstrap_interval(np.array([np.nan, 1]))).all()
