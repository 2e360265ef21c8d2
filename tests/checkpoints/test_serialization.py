"""A training state survives its file, and no damage to the file goes unseen or is executed."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch

from colab_rl.checkpoints import Damaged, FileRecord
from colab_rl.checkpoints.serialization import deserialize, serialize, state_sha256

DTYPES = [np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
          np.bool_]


def make_state() -> dict[str, Any]:
    torch.manual_seed(0)
    numbers = np.random.default_rng(0)
    return {
        "algorithm": {
            "policy": {"mean.0.weight": torch.randn(4, 3), "log_std": torch.zeros(2)},
            "adam": {"step": torch.tensor(7.0), "moments": {}, "amsgrad": False},
            "rng": torch.get_rng_state(),
            "generator": numbers.bit_generator.state,  # integers of 128 bits
        },
        "arrays": {np.dtype(dtype).name: numbers.integers(0, 2, (2, 3)).astype(dtype) for dtype in DTYPES},
        "shapes": {"0-d": np.array(1.5), "empty": np.zeros((0, 5), np.float32), "strided": np.arange(24)[::-3],
                   "transposed": np.arange(6.0).reshape(2, 3).T, "fortran": np.asfortranarray(np.eye(3)[:2]),
                   "strided tensor": torch.arange(12).reshape(3, 4).t()[::2], "scalar tensor": torch.tensor(True)},
        "plain": {"none": None, "true": True, "int": -(2**70), "float": 0.1 + 0.2, "tiny": 5e-324, "inf": float("inf"),
                  "whole float": 1.0, "text": "ü/\n\"", "empty text": ""},
    }


def assert_same(left: Any, right: Any) -> None:
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            assert_same(left[key], right[key])
    elif isinstance(left, (np.ndarray, torch.Tensor)):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        assert (left == right).all()
    else:
        assert left == right


def test_a_state_comes_back_as_it_was():
    state = make_state()
    assert_same(deserialize(serialize(state)), state)


def test_not_a_number_comes_back():
    found = deserialize(serialize({"plain": float("nan"), "array": np.array([np.nan, -0.0])}))
    assert found["plain"] != found["plain"]
    assert np.isnan(found["array"][0])
    assert np.signbit(found["array"][1])


def test_what_comes_back_can_be_trained_on():
    found = deserialize(serialize(make_state()))
    found["algorithm"]["policy"]["log_std"] += 1
    found["shapes"]["0-d"] += 1
    assert found["algorithm"]["policy"]["log_std"].tolist() == [1, 1]


def test_an_empty_state_comes_back():
    assert deserialize(serialize({})) == {}


def test_equal_states_give_equal_bytes_and_hashes():
    state, other = make_state(), copy.deepcopy(make_state())
    reordered = {key: dict(reversed(value.items())) for key, value in reversed(other.items())}
    assert serialize(state) == serialize(other) == serialize(reordered)
    assert state_sha256(state) == state_sha256(other) == state_sha256(reordered)
    assert state_sha256(deserialize(serialize(state))) == state_sha256(state)


def test_serializing_leaves_the_state_alone():
    state = make_state()
    serialize(state)
    assert_same(state, make_state())


def test_the_memory_layout_is_not_part_of_a_state():
    array = np.arange(6.0).reshape(2, 3)
    assert serialize({"x": array}) == serialize({"x": np.asfortranarray(array)})
    assert state_sha256({"x": array}) == state_sha256({"x": np.asfortranarray(array)})


def test_the_hash_sees_every_element():
    state = {"a": np.zeros((2, 3), np.float32), "b": torch.zeros(2, dtype=torch.int64), "c": 0}
    hashes = {state_sha256(state)}
    for index in range(6):
        changed = copy.deepcopy(state)
        changed["a"].reshape(-1)[index] = np.nextafter(np.float32(0), np.float32(1))
        hashes.add(state_sha256(changed))
    for index in range(2):
        changed = copy.deepcopy(state)
        changed["b"][index] = 1
        hashes.add(state_sha256(changed))
    assert len(hashes) == 9


@pytest.mark.parametrize("other", [
    {"x": np.zeros(4, np.float64)}, {"x": np.zeros(4, np.int32)}, {"x": np.zeros((2, 2), np.float32)},
    {"y": np.zeros(4, np.float32)}, {"x": {"x": np.zeros(4, np.float32)}}, {"x": np.zeros(4, np.float32), "y": None},
    {"x": None}, {"x": {}}, {"x": 0}, {"x": 0.0}, {"x": False}, {"x": -0.0}, {"x": ""},
], ids=str)
def test_the_hash_sees_every_path_type_and_shape(other):
    assert state_sha256(other) != state_sha256({"x": np.zeros(4, np.float32)})
    assert serialize(other) != serialize({"x": np.zeros(4, np.float32)})


def test_plain_values_of_different_types_have_different_hashes():
    values = [0, 0.0, -0.0, False, None, "", "0", {}]
    assert len({state_sha256({"x": value}) for value in values}) == len(values)


@pytest.mark.parametrize("value", [
    [1, 2], (1, 2), {1, 2}, b"bytes", 1j, object(), print, np.float32(1), np.int64(1), np.bool_(True),
    np.array(["text"]), np.array([object()]), np.array([1 + 2j]), np.array(["2026-11-22"], "datetime64[D]"),
    torch.zeros(2, dtype=torch.bfloat16),
], ids=lambda value: f"{type(value).__name__} {getattr(value, 'dtype', '')}")
def test_what_a_state_cannot_hold_is_refused(value):
    with pytest.raises(TypeError):
        serialize({"x": {"y": value}})


def test_a_key_with_a_slash_is_refused():
    with pytest.raises(TypeError, match="a/b"):
        serialize({"a/b": 1})


def small_file() -> bytes:
    return serialize({"a": {"w": torch.ones(3), "n": np.arange(2)}, "step": 3})


def test_every_truncation_is_seen():
    data = small_file()
    record = FileRecord.of(data)
    for length in range(len(data)):
        with pytest.raises(ValueError, match="not a training state"):
            deserialize(data[:length])
        with pytest.raises(Damaged, match=f"{length} bytes"):
            record.check("state", data[:length])


def test_every_flipped_bit_is_seen_by_its_record_and_none_is_executed():
    data = small_file()
    record = FileRecord.of(data)
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(Damaged, match="other content"):
            record.check("state", bytes(damaged))
        try:
            deserialize(bytes(damaged))
        except ValueError as error:
            assert "not a training state" in str(error)


def test_garbage_is_no_state():
    numbers = random.Random(0)
    for length in (0, 1, 7, 8, 9, 100, 1000):
        with pytest.raises(ValueError, match="not a training state"):
            deserialize(numbers.randbytes(length))


def test_a_pickle_is_no_state(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").write_text, ("yes",))
    torch.save({"x": Bomb()}, tmp_path / "bomb.pt")
    with pytest.raises(ValueError, match="not a training state"):
        deserialize((tmp_path / "bomb.pt").read_bytes())
    assert not (tmp_path / "executed").exists()
