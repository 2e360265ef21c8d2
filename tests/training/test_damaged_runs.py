"""A damaged checkpoint costs one interval at most; nothing is deleted."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import flip, snapshot
from sabotage import Machine, check_history, newest_generation

from colab_rl import ColabRLError, verify

pytestmark = pytest.mark.usefixtures("one_core", "outlives_sigterm")


def newest(machine: Machine, suffix: str = "safetensors", back: int = 1) -> Path:
    return machine.files(f"checkpoints/*.{suffix}")[-back]


def swap(machine: Machine, suffix: str) -> None:
    one, other = newest(machine, suffix), newest(machine, suffix, 2)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def transplant(machine: Machine, other: Machine) -> None:
    """The newest checkpoint of another run, laid among those of this one."""
    for path in (newest(other), newest(other, "json"), other.files("metrics/*.csv")[-1]):
        shutil.copy(path, machine.root / "walker" / path.parent.name)


DAMAGES: dict[str, Callable[[Machine], Any]] = {
    "state cut": lambda machine: os.truncate(newest(machine), 1000),
    "state empty": lambda machine: newest(machine).write_bytes(b""),
    "one bit of the state": lambda machine: flip(newest(machine), 2000),
    "state gone": lambda machine: newest(machine).unlink(),
    "manifest cut": lambda machine: os.truncate(newest(machine, "json"), 100),
    "one digit of the manifest": lambda machine: newest(machine, "json").write_bytes(
        newest(machine, "json").read_bytes().replace(b'"iteration": ', b'"iteration": 1')),
    "two states swapped": lambda machine: swap(machine, "safetensors"),
    "two manifests swapped": lambda machine: swap(machine, "json"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_checkpoint_costs_one_interval_and_is_kept_to_look_at(
        tmp_path, stopped, undisturbed, capsys, damage):
    machine = stopped.copy(tmp_path)
    damage(machine)
    damaged = {path.name: path.read_bytes() for path in (newest(machine), newest(machine, "json"))}
    generation = newest_generation(machine.root / "walker")
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    check_history(machine, last)
    errors = capsys.readouterr().err
    assert "skipping a checkpoint" in errors
    assert not re.search(rf"continuing from generation {generation} ", errors)
    aside = {path.name: path.read_bytes() for path in (machine.root / "walker" / "checkpoints").glob("*.bad")}
    assert f"{newest_name(damaged, generation)}.bad" in aside
    for name, data in damaged.items():
        if name.startswith(f"{generation:08d}"):
            assert aside[f"{name}.bad"] == data
    assert verify("walker", root=machine.root, store="none")["bad"] == []


def newest_name(names: Any, generation: int) -> str:
    return next(name for name in names if name.startswith(f"{generation:08d}") and name.endswith(".json"))


def test_a_checkpoint_of_another_run_is_not_taken_for_this_ones(tmp_path, stopped, undisturbed):
    other, result = undisturbed("CartPole-v1")
    machine = stopped.copy(tmp_path)
    transplant(machine, other)
    last = machine.train()
    assert last.state_sha256 == result.state_sha256
    assert (machine.root / "walker" / "checkpoints" / f"{newest(other, 'json').name}.bad").exists()
    check_history(machine, last)


def test_a_whole_checkpoint_in_the_store_saves_even_the_interval_and_the_damaged_one_is_kept(tmp_path, undisturbed):
    machine = Machine(tmp_path, store=tmp_path / "store")
    first = machine.train(deed="230 stop trainer")
    assert first.pending == 0
    flip(newest(machine), 2000)
    name, data = newest(machine).name, newest(machine).read_bytes()
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    assert newest(machine, "safetensors.bad").name == f"{name}.bad"
    assert newest(machine, "safetensors.bad").read_bytes() == data
    check_history(machine, last)


def test_a_damaged_old_table_leaves_a_gap_in_the_curves_and_nothing_else(tmp_path, stopped, undisturbed, capsys):
    machine = stopped.copy(tmp_path)
    table = machine.files("metrics/*.csv")[2]
    flip(table)
    last = machine.train()
    assert last.state_sha256 == undisturbed("CartPole-v1")[1].state_sha256
    assert f"{table.name} is missing or damaged" in capsys.readouterr().err
    assert len(machine.shown()) == last.iteration - 1


@pytest.mark.parametrize("damage", ["states cut", "states gone", "manifests cut", "manifests gone"])
def test_where_every_checkpoint_is_damaged_the_run_stops_and_nothing_is_deleted(tmp_path, stopped, capsys, damage):
    machine = stopped.copy(tmp_path)
    what, how = damage.split()
    for path in machine.files(f"checkpoints/*.{'json' if what == 'manifests' else 'safetensors'}"):
        if how == "cut":
            os.truncate(path, 50)
        else:
            path.unlink()
    before = snapshot(machine.root / "walker")
    with pytest.raises(ColabRLError, match="nothing was deleted") as caught:
        machine.train()
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    assert snapshot(machine.root / "walker") == before
