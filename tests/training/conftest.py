"""Runs that many tests begin from."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from sabotage import Machine

from colab_rl import TrainingResult

Undisturbed = Callable[[str], tuple[Machine, TrainingResult]]


@pytest.fixture(scope="module")
def undisturbed(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A run that nothing happened to, for each environment."""
    made: dict[str, tuple[Machine, TrainingResult]] = {}

    def get(env_id: str) -> tuple[Machine, TrainingResult]:
        if env_id not in made:
            machine = Machine(tmp_path_factory.mktemp("undisturbed"), env_id)
            made[env_id] = machine, machine.train()
        return made[env_id]
    return get


@pytest.fixture(scope="module")
def stopped(one_core: None, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine whose run was stopped half-way."""
    machine = Machine(tmp_path_factory.mktemp("stopped"))
    assert machine.train(deed="230 stop trainer").signal_number == signal.SIGTERM
    return machine
