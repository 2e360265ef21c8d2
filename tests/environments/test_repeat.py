"""Actions that are repeated: the same as gymnasium's own wrapper, with fewer drawings."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from colab_rl import UsageError
from colab_rl.environments import make_environment
from colab_rl.environments.known.registry import skipped_drawing
from colab_rl.environments.make import configured
from colab_rl.environments.repeat import RepeatAction
from colab_rl.environments.wrappers import steps_at_once


class Drawings:
    """How often a CarRacing draws."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        from gymnasium.envs.box2d.car_racing import CarRacing

        self.count, draw = 0, CarRacing._render

        def counted(racing: Any, mode: str) -> Any:
            self.count += 1
            return draw(racing, mode)

        monkeypatch.setattr(CarRacing, "_render", counted)


def repeated(step: Any, times: int, action: Any) -> Any:
    """As gymnasium's RepeatAction does it; version 1.2 has none."""
    total = 0.0
    for _ in range(times):
        observation, reward, terminated, truncated, _info = step(action)
        total += float(reward)
        if terminated or truncated:
            break
    return observation, total, terminated, truncated


def racing(continuous: bool, times: int, limit: int = 1000) -> tuple[gymnasium.Env, gymnasium.Env]:
    """A CarRacing that repeats, and one that does not."""
    keywords = {"continuous": continuous, "max_episode_steps": limit}
    return make_environment(configured("CarRacing-v3", keywords, [f"RepeatAction({times})"])), \
        gymnasium.make("CarRacing-v3", **keywords)


@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize(("times", "limit"), [(1, 12), (5, 100), (5, 38)])  # 38: an episode ends amid its repeats
def test_a_car_that_repeats_shows_and_earns_what_one_that_draws_every_frame_does(continuous, times, limit, monkeypatch):
    repeating, drawing = racing(continuous, times, limit)
    drawn = Drawings(monkeypatch)
    shown = [env.reset(seed=7)[0] for env in (repeating, drawing)]
    assert np.array_equal(*shown)
    rng, done, steps = np.random.default_rng(0), False, 0
    while not done:
        action = np.array([rng.uniform(-1, 1), 0.8, 0.1], np.float32) if continuous else int(rng.integers(5))
        before = drawn.count
        observation, reward, *ends, _info = repeating.step(action)
        assert drawn.count == before + 1
        other = repeated(drawing.step, times, action)
        assert np.array_equal(observation, other[0]) and (reward, *ends) == other[1:]
        done, steps = any(ends), steps + 1
    assert steps == -(-limit // times)


def test_a_car_that_leaves_the_field_amid_its_repeats_shows_where_it_is():
    repeating, drawing = racing(True, 6)
    shown = []
    for environment in (repeating, drawing):
        environment.reset(seed=3)
        car = environment.unwrapped.car
        edge = (332 - car.hull.position[0], 0)
        for body in (car.hull, *car.wheels):
            body.position += edge
            body.linearVelocity = (30, 0)
        act = np.zeros(3, np.float32)
        shown.append(environment.step(act)[:4] if environment is repeating else repeated(environment.step, 6, act))
    assert shown[0][2] and shown[0][1] < -90  # it ended so
    assert np.array_equal(shown[0][0], shown[1][0]) and shown[0][1:] == shown[1][1:]
    assert np.array_equal(repeating.reset(seed=4)[0], drawing.reset(seed=4)[0])


def test_what_looks_at_frames_sees_all_of_them(monkeypatch):
    source = configured("CarRacing-v3", {}, ["FrameStackObservation(stack_size=2)", "RepeatAction(3)"])
    environment, drawn = make_environment(source), Drawings(monkeypatch)
    environment.reset(seed=0)
    before = drawn.count
    frames = environment.step(np.array([0, 1, 0], np.float32))[0]
    assert drawn.count == before + 3 and not np.array_equal(frames[0], frames[1])


def test_a_car_that_draws_in_its_own_way_is_left_alone():
    from gymnasium.envs.box2d.car_racing import CarRacing

    class Own(CarRacing):
        def _render(self, mode: str) -> Any:
            return super()._render(mode)

    assert skipped_drawing(CarRacing()) and skipped_drawing(Own()) is None


def test_a_function_that_makes_a_car_draws_as_seldom_and_what_a_user_replaced_stays(monkeypatch):
    environment = make_environment(configured(lambda: gymnasium.make("CarRacing-v3"), {}, ["RepeatAction(4)"]))
    drawn = Drawings(monkeypatch)
    environment.reset(seed=0)
    before = drawn.count
    environment.step(np.array([0, 1, 0], np.float32))
    assert drawn.count == before + 1

    class Looking(gymnasium.wrappers.TimeLimit):
        """It may look at observations."""

    looking = make_environment(configured(lambda: Looking(gymnasium.make("CarRacing-v3"), 9), {}, ["RepeatAction(4)"]))
    looking.reset(seed=0)
    before = drawn.count
    looking.step(np.array([0, 1, 0], np.float32))
    assert drawn.count == before + 4
    own = gymnasium.make("CarRacing-v3").unwrapped
    own._render = lambda mode: None
    assert skipped_drawing(own) is None


def test_any_environment_repeats_and_a_step_takes_as_long_as_its_repeats():
    environment = make_environment(configured("CartPole-v1", {}, ["RepeatAction(num_repeats=3)"]))
    other = gymnasium.make("CartPole-v1")
    assert steps_at_once(environment) == 3
    environment.reset(seed=0), other.reset(seed=0)
    observation, reward, *ends, _info = environment.step(1)
    expected = repeated(other.step, 3, 1)
    assert np.array_equal(observation, expected[0]) and (reward, *ends) == expected[1:] and reward == 3
    own = getattr(gymnasium.wrappers, "RepeatAction", RepeatAction)
    assert steps_at_once(own(other, 4)) == 4  # in a function of the user's
    assert steps_at_once(gymnasium.make("CartPole-v1")) == 1


@pytest.mark.parametrize(("wrong", "kind"), [
    *((wrong, "a whole number from 1 on") for wrong in ("0", "-2", "2.5", "True")), ("'many'", "a whole number")])
def test_a_number_of_repeats_that_is_none_is_named(wrong, kind):
    with pytest.raises(UsageError, match=rf"RepeatAction\(.*\) does not fit: num_repeats is {kind}, not"):
        make_environment(configured("CartPole-v1", {}, [f"RepeatAction({wrong})"]))
