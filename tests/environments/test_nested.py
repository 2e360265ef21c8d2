"""Spaces of every kind as flat rows, and back."""

from __future__ import annotations

import json

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Sequence, Text, Tuple

from colab_rl.environments.nested import NotFlat, Observed, acted, batched, from_outline, leaves, outline
from colab_rl.environments.spaces import ObservationSpec

IMAGE = Box(0, 255, (6, 5, 3), np.uint8)
NUMBERS = [
    Box(-1, 1, (3,)), Box(-1, 1, (3, 4), np.float64), Box(-1, 1, ()), Box(0, 255, (7,), np.uint8),
    Discrete(5, start=-2), MultiDiscrete([[2, 3], [4, 5]], start=[[1, 1], [0, -3]]), MultiBinary((2, 3)),
    MultiBinary(4),
    Dict(b=Discrete(3), a=Tuple((Box(0, 1, (2,)), MultiBinary(3), Dict(z=Box(-9, 9, (1, 2), np.int64)))))]
MIXED = Dict(camera=IMAGE, robot=Dict(arm=Box(-1, 1, (2,)), eye=IMAGE, mode=Discrete(3)))


@pytest.mark.parametrize("space", NUMBERS, ids=str)
def test_what_has_no_image_is_one_flat_row_as_gymnasium_flattens_it(space):
    observed = Observed(space)
    row = observed.spec.zeros()
    assert observed.spec == ObservationSpec((gymnasium.spaces.flatdim(space),))
    space.seed(1)
    for _ in range(20):
        observation = space.sample()
        observed.write(observation, row)
        assert np.array_equal(row, gymnasium.spaces.flatten(space, observation).astype(np.float32))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (3, 6, 5), (4, 6, 5, 3)], ids=str)
def test_an_image_stays_as_it_is(shape):
    space = Box(0, 255, shape, np.uint8)
    for one in (space, Dict(camera=space)):
        observed, observation = Observed(one), one.sample()
        row = observed.spec.zeros()
        observed.write(observation, row)
        assert observed.spec == ObservationSpec(shape, "uint8")
        assert np.array_equal(row, observation if one is space else observation["camera"])


def test_images_and_numbers_are_one_row_of_bytes_whose_parts_are_views():
    observed, observation = Observed(MIXED), MIXED.sample()
    spec = observed.spec
    assert [part.name for part in spec.parts] == ["vector", "camera", "robot/eye"] and spec.dtype == "uint8"
    assert spec.shape[0] % 4 == 0 and 4 * 5 + 2 * 90 <= spec.shape[0] < 4 * 5 + 2 * 90 + 4
    rows = spec.zeros(2, 3)
    observed.write(observation, rows[1, 2])
    for array in (rows, torch.from_numpy(rows)):
        parts = spec.unpack(array)
        assert np.array_equal(parts["vector"][1, 2, :2], observation["robot"]["arm"])
        assert np.array_equal(parts["vector"][1, 2, 2:].argmax(), observation["robot"]["mode"])
        assert np.array_equal(parts["camera"][1, 2], observation["camera"])
        assert np.array_equal(parts["robot/eye"][1, 2], observation["robot"]["eye"])
        parts["vector"][...] = 7
        assert (spec.numbers(rows) == 7).all()
        parts["vector"][...] = 0
        observed.write(observation, rows[1, 2])
    assert ObservationSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(("space", "observation"), [
    (Discrete(3), 3), (Discrete(3), -1), (Discrete(3), 1.5), (Discrete(3), np.zeros(2, int)), (Discrete(3), None),
    (MultiDiscrete([2, 3]), [1, 3]), (MultiDiscrete([2, 3]), [1]), (MultiBinary(3), [1, 0]),
    (Box(-1, 1, (2, 3)), np.zeros(6)), (Dict(a=Discrete(2)), {"b": 1}), (Dict(a=Discrete(2)), 1),
    (Tuple((Discrete(2), Discrete(2))), (1,)), (MIXED, {"camera": np.zeros((6, 5, 3)), "robot": {}}),
    (IMAGE, np.zeros((6, 5)))], ids=str)
def test_what_is_not_of_the_space_is_refused(space, observation):
    observed = Observed(space)
    with pytest.raises((TypeError, ValueError, LookupError)):
        observed.write(observation, observed.spec.zeros())


@pytest.mark.parametrize("space", [Text(5), Dict(a=Dict(b=Sequence(Discrete(2)))), Tuple((Text(3),))], ids=str)
def test_a_space_without_a_fixed_number_of_values_is_named(space):
    with pytest.raises(NotFlat, match=r"Text|Sequence"):
        Observed(space)


@pytest.mark.parametrize("space", [
    Discrete(5, start=-2), MultiDiscrete([[2, 3], [4, 5]], start=[[1, 1], [0, -3]]), MultiBinary((2, 3)),
    Box(-1, 1, (2, 3), np.float64), Box(-0.1, 0.3, (), np.float64), Dict(arm=Box(-1, 1, ()), leg=Box(-1, 1, (1,))),
    Box(-1, 1, ()), Dict(legs=MultiDiscrete([3, 3]), arm=Tuple((Discrete(2, start=7), MultiBinary(2)))),
    Tuple((Box(-1, 1, (2, 2)), Dict(a=Box(0, 1, (1,), np.float64))))], ids=str)
def test_an_action_comes_out_of_the_numbers_of_its_leaves_alone_and_in_a_batch(space):
    space.seed(2)
    rows, actions = [], [space.sample() for _ in range(4)]
    for action in actions:
        values = []
        for path, _ in leaves(space):
            value = action
            for key in path:
                value = value[key]
            values.append(np.ravel(value))
        rows.append(np.concatenate(values))
        made = acted(space, rows[-1])
        assert space.contains(made) and repr(made) == repr(action)
        assert repr(acted(from_outline(json.loads(json.dumps(outline(space)))), rows[-1])) == repr(action)
    batch = acted(space, np.stack(rows))
    assert repr(batched(space, batch)) == repr(actions)


def test_a_float64_action_stays_within_its_bounds_though_float32_rounds_them():
    space = Box(-0.1, 0.1, (2, 1), np.float64)
    assert space.contains(acted(space, np.array([0.1, -0.1], np.float32)))


@pytest.mark.parametrize(("image", "cut_off"), [
    (np.zeros((6, 5, 3)), True), (np.ones((6, 5, 3), np.float16), True), (np.full((6, 5, 3), -1), True),
    (np.full((6, 5, 3), 256, np.int32), True), (np.full((6, 5, 3), 255), False), (np.ones((6, 5, 3), bool), False),
    (IMAGE.sample(), False)], ids=lambda value: str(getattr(value, "dtype", value)))
def test_an_image_that_uint8_would_cut_off_is_refused_by_a_strict_one_alone(image, cut_off):
    for space, given in ((IMAGE, image), (Dict(a=IMAGE, b=Box(-1, 1, (2,))), {"a": image, "b": np.zeros(2)})):
        observed, strict = Observed(space), Observed(space, strict=True)
        row, other = observed.spec.zeros(), observed.spec.zeros()
        observed.write(given, row)
        if cut_off:
            with pytest.raises(ValueError):
                strict.write(given, other)
        else:
            strict.write(given, other)
            assert np.array_equal(row, other)


def test_images_whose_keys_name_other_parts_have_names_of_their_own():
    image = Box(0, 255, (4, 4, 3), np.uint8)
    observed = Observed(Dict({"vector": image, "a/b": image, "a": Dict({"b": image}), "speed": Box(-1, 1, (2,))}))
    names = [part.name for part in observed.spec.parts]
    assert len(set(names)) == 4 and names[0] == "vector" and observed.spec.parts[0].dtype == "float32"
