"""Seeds, grids and searches as people write them."""

import numpy as np
import pytest

from colab_rl import UsageError, sweep
from colab_rl.sweeps.choices import Range, parse_search, parse_seeds, parse_vary


@pytest.mark.parametrize("said, seeds", [("0-4", (0, 1, 2, 3, 4)), ("0, 3,7-9", (0, 3, 7, 8, 9)), (5, (5,)),
                                         ([2, 0], (2, 0)), ("7", (7,))])
def test_seeds(said, seeds):
    assert parse_seeds(said) == seeds


@pytest.mark.parametrize("said", ["", "4-1", "a", "1,,2", "0-99999999", "1,1", [], [True], [-1], 2**31, "-3", "1.5"])
def test_what_are_no_seeds(said):
    with pytest.raises(UsageError, match="seed"):
        parse_seeds(said)


def test_numbers_of_numpy_are_seeds_too():
    assert parse_seeds(list(np.arange(3))) == (0, 1, 2) and parse_seeds(np.int64(4)) == (4,)
    assert {type(seed) for seed in parse_seeds([np.int64(1), 2])} == {int}
    with pytest.raises(UsageError, match=r"a seed is a whole number .*, not 1\.5$"):
        parse_seeds([np.float64(1.5)])


def test_a_comma_in_brackets_belongs_to_the_value():
    one = '["TimeAwareObservation","FrameStackObservation(stack_size=4)"]'
    assert parse_vary([f"wrappers={one}"]) == {"wrappers": [one]}
    assert parse_vary([f'wrappers={one}, [],TransformReward(a=(1,2), b=[3]),"x"']) == {
        "wrappers": [one, "[]", "TransformReward(a=(1,2), b=[3])", '"x"']}
    assert parse_search([f"wrappers=[],{one}"]) == {"wrappers": ["[]", one]}


def test_values_that_are_no_json_are_left_to_the_setting_to_refuse():
    odd = {(1, 2): 3}
    assert parse_vary({"gamma": [odd, 0.9]}) == {"gamma": [odd, 0.9]}
    with pytest.raises(UsageError, match="gamma takes a number"):
        sweep("odd", env="CartPole-v1", vary={"gamma": [odd]}, store="none")


def test_a_grid_from_a_command_line_and_from_python():
    said = ["learning_rate=3e-4,1e-3", "hidden_sizes=[64,64],[128,128]"]
    assert parse_vary(said) == {"learning_rate": ["3e-4", "1e-3"], "hidden_sizes": ["[64,64]", "[128,128]"]}
    assert parse_vary({"gamma": [0.9, 0.99]}) == {"gamma": [0.9, 0.99]}


@pytest.mark.parametrize("said", [["gamma"], ["gamma="], ["=1"], ["gamma=1,,2"], ["gamma=1", "gamma=2"],
                                  ["gamma=0.9,0.9"], {"gamma": []}, {"gamma": 3}])
def test_what_is_no_grid(said):
    with pytest.raises(UsageError, match="vary"):
        parse_vary(said)


def test_a_search_has_ranges_and_values():
    found = parse_search(["learning_rate=1e-4:3e-3:log", "num_steps=128,256", "gamma=.9:1", "network=mine:Net,mlp"])
    assert found == {"learning_rate": Range(1e-4, 3e-3, True), "num_steps": ["128", "256"], "gamma": Range(0.9, 1.0),
                     "network": ["mine:Net", "mlp"]}
    assert parse_search({"learning_rate": (1e-4, 3e-3, "log"), "num_steps": [128, 256], "gamma": "0.9:1"}) == {
        "learning_rate": Range(1e-4, 3e-3, True), "num_steps": [128, 256], "gamma": Range(0.9, 1.0)}


@pytest.mark.parametrize("one, middle", [(Range(64, 4096), 2080), (Range(1, 100, True), 10), (Range(0.9, 1.0), 0.95),
                                         (Range(1e-4, 1e-2, True), 1e-3), (Range(-1, 2), 0)])
def test_the_middle_of_a_range(one, middle):
    assert one.middle == pytest.approx(middle) and type(one.middle) is type(one.low)


@pytest.mark.parametrize("said", ["1:0.1", "0:1:log", "1:1", "1:2:3", "1:x", "0.1:inf"])
def test_what_is_no_range(said):
    with pytest.raises(UsageError, match="search"):
        parse_search({"gamma": said})
