"""An environment that is not the same in a worker process is stepped in this one, and a line says so."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import textwrap
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv, pendulum
from gymnasium.wrappers import TimeLimit
from helpers import TINY

from colab_rl import evaluate, record, train
from colab_rl.environments import describe, make_environment
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.stepper import Stepper
from colab_rl.environments.worker_process import WorkerHere, changed_here
from colab_rl.errors import EnvironmentFault
from colab_rl.settings import parse_settings

cloudpickle.register_pickle_by_value(sys.modules[__name__])
HERE = os.getpid()
STEPS = 6  # CartPole stands so long


def story(source: Any, **options: Any) -> tuple[list[float], bool]:
    """Rewards and observations of a few steps from seed 3, and whether this process has stepped it."""
    shape = describe(source)
    with GymnasiumVectorEnvironment(source, shape, 3, seeds=lambda slot, episode: 3 + slot, num_workers=2,
                                    **options) as envs:
        envs.reset()
        found = []
        for _ in range(STEPS):
            step = envs.step(np.zeros((3, *shape.action_shape), shape.action_dtype))
            found += [*step.rewards.tolist(), *step.observations.ravel().tolist()]
        return found, isinstance(envs._workers[0], WorkerHere)


def plain_story(source: Any) -> list[float]:
    """The same in this process, one environment after the other."""
    shape, rows = describe(source), [[] for _ in range(STEPS)]
    for slot in range(3):
        environment = make_environment(source)
        stepper = Stepper(environment, shape.observation.zeros())
        stepper.begin(3 + slot)
        for row in rows:
            row.append((stepper.step(np.zeros(shape.action_shape, shape.action_dtype))[0],
                        stepper.observation.tolist()))
        environment.close()
    return [number for row in rows for part in ([reward for reward, _ in row],
                                                [number for _, numbers in row for number in numbers])
            for number in part]


class Counting(CartPoleEnv):
    """Gives `gain` for a step."""

    gain: Any = 2.0

    def step(self, action: Any) -> Any:
        observation, _, *rest = super().step(action)
        return observation, float(self.gain), *rest


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module `arm_of_mine` with an environment `Arm`, `arm_of_mine:Arm-v0`, that uses a module `motor_of_mine`."""
    (tmp_path / "motor_of_mine.py").write_text(textwrap.dedent("""
        class Settings:
            def __init__(self):
                self.gain = 1.0
        SETTINGS = Settings()
        def torque(x):
            return 2 * x
    """))
    (tmp_path / "arm_of_mine.py").write_text(textwrap.dedent("""
        import time
        import gymnasium
        import motor_of_mine
        from gymnasium.envs.classic_control import CartPoleEnv
        GAIN = 1.0
        LIMITS = {"angle": 1.0, "deep": {"speed": 2.0}}
        CACHE = {}
        class Base(CartPoleEnv):
            def bonus(self):
                return 0.0
        class Arm(Base):
            weight = (1, 2.0)
            def step(self, action):
                observation, _, *rest = super().step(action)
                time.sleep(0)
                CACHE[len(CACHE)] = 1
                reward = GAIN + sum(LIMITS.values() if 0 else [LIMITS["angle"], LIMITS["deep"]["speed"]])
                reward += motor_of_mine.torque(1.0) + motor_of_mine.SETTINGS.gain + self.bonus() + self.weight[1]
                return observation, reward, *rest
        gymnasium.register("Arm-v0", "arm_of_mine:Arm", max_episode_steps=9)
    """))
    monkeypatch.syspath_prepend(tmp_path)
    __import__("arm_of_mine")
    yield sys.modules["arm_of_mine"]
    for name in ("arm_of_mine", "motor_of_mine"):
        del sys.modules[name]
    gymnasium.registry.pop("Arm-v0", None)


def nothing(arm: Any, patch: pytest.MonkeyPatch) -> None:
    arm.CACHE["more"] = 7


def a_method(arm: Any, patch: pytest.MonkeyPatch) -> None:
    old = arm.Arm.step
    patch.setattr(arm.Arm, "step", lambda self, action: (lambda o, r, *rest: (o, r + 100.0, *rest))(*old(self, action)))


def a_method_that_was_inherited(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm.Arm, "bonus", lambda self: 5.0, raising=False)


def a_method_of_a_base(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm.Base, "bonus", lambda self: 5.0)


def a_default(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CartPoleEnv.__init__, "__defaults__", (True, None))


def a_constant(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm, "GAIN", 3.0)


def a_constant_in_a_dictionary(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(arm.LIMITS["deep"], "speed", 4.0)


def a_constant_of_a_class(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm.Arm, "weight", (1, 3.0))


def a_function_of_another_module(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm.motor_of_mine, "torque", lambda x: 7 * x)


def a_setting_of_another_module(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm.motor_of_mine.SETTINGS, "gain", 9.0)


def a_function_of_python(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("time.sleep", lambda seconds: None)


def a_wrapper_of_gymnasium(arm: Any, patch: pytest.MonkeyPatch) -> None:
    old = TimeLimit.step
    patch.setattr(TimeLimit, "step", lambda self, action: old(self, action))


def a_class(arm: Any, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arm, "Arm", type("Arm", (arm.Arm,), {"bonus": lambda self: 1.5}))


def the_file(arm: Any, patch: pytest.MonkeyPatch) -> None:
    path = Path(arm.__file__)
    path.write_text(path.read_text().replace("GAIN = 1.0", "GAIN = 2.5"))


CHANGES = (a_method, a_method_that_was_inherited, a_method_of_a_base, a_default, a_constant, a_constant_in_a_dictionary,
           a_constant_of_a_class, a_function_of_another_module, a_setting_of_another_module, a_function_of_python,
           a_wrapper_of_gymnasium, a_class, the_file)


@pytest.mark.parametrize("change", [nothing, *CHANGES])
def test_what_a_new_process_would_not_have_is_stepped_in_this_one(module, monkeypatch, capsys, change):
    with monkeypatch.context() as patch:
        change(module, patch)
        expected = plain_story("arm_of_mine:Arm-v0")
        found, is_here = story("arm_of_mine:Arm-v0")
        assert found == expected and is_here is (change is not nothing)
    said = capsys.readouterr().err
    assert said.count("environments of arm_of_mine:Arm-v0 are stepped in this process, which is slower: ") == is_here
    assert ("is not what a new process imports" in said and said.count("\n") == 1) if is_here else not said


def test_a_changed_constant_is_told_with_both_values(module, monkeypatch, capsys):
    monkeypatch.setattr(module, "GAIN", 3.0)
    story("arm_of_mine:Arm-v0")
    assert "arm_of_mine.GAIN is not what a new process imports (3.0 here, 1.0 there); give a function that makes this" \
        " change too, and worker processes step them\n" in capsys.readouterr().err


def test_a_function_that_makes_the_change_is_stepped_by_worker_processes(module):
    def make() -> gymnasium.Env:
        import arm_of_mine

        arm_of_mine.GAIN = 30.0
        return gymnasium.make("arm_of_mine:Arm-v0")

    expected = plain_story(make)
    assert story(make) == (expected, False)


def test_what_is_registered_here_reaches_worker_processes(monkeypatch):
    gymnasium.register("Counting-v0", Counting, max_episode_steps=9)
    try:
        for source in ("Counting-v0", lambda: gymnasium.make("Counting-v0")):
            assert story(source) == (plain_story(source), False)
        stub = types.ModuleType("stub_of_mine")
        stub.Elsewhere = type("Elsewhere", (Counting,), {"__module__": "stub_of_mine"})
        monkeypatch.setitem(sys.modules, "stub_of_mine", stub)
        gymnasium.register("Other-v0", stub.Elsewhere)  # of a module that only this process has
        lock = threading.Lock()
        gymnasium.register("Other-v1", lambda: lock)
        gymnasium.spec("CartPole-v1").kwargs["sutton_barto_reward"] = True
        assert story("CartPole-v1") == (plain_story("CartPole-v1"), False)
    finally:
        gymnasium.spec("CartPole-v1").kwargs.clear()
        for env_id in ("Counting-v0", "Other-v0", "Other-v1"):
            del gymnasium.registry[env_id]


def a_lock() -> Any:
    return threading.RLock()


def a_generator() -> Any:
    return (number for number in range(3))


def a_connection() -> Any:
    return sqlite3.connect(":memory:")  # which no other thread may use


@pytest.mark.parametrize("held", [a_lock, a_generator, a_connection])
def test_a_function_that_cannot_be_sent_is_called_here(held, capsys):
    thing = held()

    class Holding(Counting):
        def step(self, action: Any) -> Any:
            if held is a_connection:
                assert thing.execute("select 1").fetchone() == (1,)
            return super().step(action)

    def make() -> gymnasium.Env:
        assert thing
        return Holding()

    assert story(make) == (plain_story(make), True)
    said = capsys.readouterr().err
    assert "what makes them cannot be sent to other processes (TypeError: cannot pickle" in said
    assert said.count("\n") == 1


def test_a_module_that_only_this_process_has_is_used_here(monkeypatch, tmp_path, capsys):
    (tmp_path / "needs_a_stub.py").write_text("import stub_of_mine\nfrom test_worker_process import Counting\n")
    monkeypatch.setitem(sys.modules, "stub_of_mine", types.ModuleType("stub_of_mine"))
    monkeypatch.syspath_prepend(tmp_path)

    def make() -> gymnasium.Env:
        import needs_a_stub

        return needs_a_stub.Counting()

    assert story(make) == (plain_story(make), True)
    said = capsys.readouterr().err
    assert "other processes cannot make them (" in said and "No module named 'stub_of_mine'" in said


def only_here() -> gymnasium.Env:
    if os.getpid() != HERE:
        raise OSError("no display here")
    return Counting()


def test_stepped_here_it_saves_and_restores_as_in_worker_processes():
    shape = describe(only_here)
    actions = np.random.default_rng(0).integers(2, size=(60, 3))
    stories = []
    for source in (only_here, Counting):
        with GymnasiumVectorEnvironment(source, shape, 3, seed=4) as envs:
            assert envs.check_repeats() == []
            envs.reset()
            for row in actions[:30]:
                envs.step(row)
            snapshot = envs.snapshot()
            after = [np.concatenate([*envs.step(row)[:1]]) for row in actions[30:]]
            assert envs.restore(snapshot) == [] and np.array_equal(envs.observations, snapshot["observations"])
            assert all(np.array_equal(envs.step(row).observations, then)
                       for row, then in zip(actions[30:], after, strict=True))
            stories.append(after)
    assert np.array_equal(*stories)


def test_stepped_here_an_environment_that_fails_or_leaves_says_what_and_where():
    def make(leaves: bool) -> gymnasium.Env:
        class Failing(Counting):
            def step(self, action: Any) -> Any:
                print("not a result")
                sys.exit(4) if leaves else self.missing

        only_here()
        return Failing()

    for leaves, what in ((False, "AttributeError: 'Failing' object"), (True, "SystemExit: 4")):
        with GymnasiumVectorEnvironment(lambda leaves=leaves: make(leaves), describe(only_here), 2) as envs:
            envs.reset()
            with pytest.raises(EnvironmentFault, match=rf"failed: {what}.* \({__file__}, line \d+\)$"):
                envs.step(np.zeros(2, np.int64))


def test_one_that_cannot_be_made_here_either_says_why():
    def make() -> gymnasium.Env:
        if broken:
            raise OSError("no display")
        return Counting()

    broken = []
    shape = describe(make)
    broken.append(1)
    with pytest.raises(EnvironmentFault, match=rf"^custom:.*make could not be made: OSError: no display \({__file__}"):
        GymnasiumVectorEnvironment(make, shape, 2)


def test_environments_are_closed_wherever_they_are(tmp_path):
    class Closing(Counting):
        def close(self) -> None:
            os.close(tempfile.mkstemp(dir=tmp_path)[0])

    for source in (Closing, lambda: only_here() and Closing()):
        shape = describe(source)
        before = len(list(tmp_path.iterdir()))
        GymnasiumVectorEnvironment(source, shape, 2, num_workers=1).close()
        assert len(list(tmp_path.iterdir())) == before + 2


def test_envpool_does_not_step_what_was_changed_here(monkeypatch):
    shape = describe("Pendulum-v1")
    assert changed_here("Pendulum-v1", shape) == ""
    gymnasium.spec("Pendulum-v1").kwargs["g"] = 1.0
    try:
        assert "its registration is not what a new process imports" in changed_here("Pendulum-v1", shape)
    finally:
        gymnasium.spec("Pendulum-v1").kwargs.clear()
    monkeypatch.setattr(pendulum.PendulumEnv, "step", lambda self, action: None)
    assert "PendulumEnv.step is not what" in changed_here("Pendulum-v1", describe("Pendulum-v1"))
    monkeypatch.undo()
    monkeypatch.setattr(pendulum, "DEFAULT_X", 1.0)
    changed = changed_here("Pendulum-v1", describe("Pendulum-v1"))
    assert "DEFAULT_X is not what a new process imports (1.0 here" in changed


def test_training_evaluation_and_recording_see_the_same_changed_class(monkeypatch, tmp_path, capsys):
    old = pendulum.PendulumEnv.step
    monkeypatch.setattr(pendulum.PendulumEnv, "step",
                        lambda self, u: (lambda o, r, *rest: (o, r + 100.0, *rest))(*old(self, u)))
    options = {"root": tmp_path, "store": "none"}
    settings = parse_settings([*TINY, "total_steps=256"])
    result = train("swing", env="Pendulum-v1", algo="ppo", settings=settings, **options)
    assert result.best_score > 10_000
    [score] = evaluate("swing", episodes=1, seed=3, **options).returns
    assert score == record("swing", seed=3, **options).total_return > 10_000
    assert capsys.readouterr().err.count(" are stepped in this process, ") == 2  # by train, and by evaluate


class Cycle(CartPoleEnv):
    """Is part of a cycle, so that only the collector ends it; then it writes a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.itself = self
        self.path = folder / str(os.getpid())

    def __del__(self) -> None:
        self.path.write_text("ended")


def test_an_environment_that_only_the_collector_ends_is_ended_with_its_process(tmp_path):
    def make() -> gymnasium.Env:
        return Cycle(tmp_path)

    with GymnasiumVectorEnvironment(make, describe(make), 1, seeds=lambda slot, episode: 3) as envs:
        envs.reset()
        process = envs._workers[0].process.pid
    assert (tmp_path / str(process)).read_text() == "ended"
