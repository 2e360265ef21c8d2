"""CarRacing, whose actions are three numbers or five choices. Channels are read from the Box2D bodies themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from colab_rl.environments.channels import Channels
from colab_rl.environments.known import box2d

FPS = 50         # steps a second, as gymnasium.envs.box2d.car_racing has it, which cannot be imported without Box2D
TRACK = 1000.0   # reward for a whole track
OFF_FIELD = -100.0
WHEELS = ("front_left", "front_right", "rear_left", "rear_right")  # the order of the car's wheels


def renew_world(car: Any) -> bool:
    """See box2d."""
    from gymnasium.envs.box2d.car_racing import CarRacing

    if type(car)._destroy is CarRacing._destroy:
        car._destroy()
        car.car = None  # it refers to the world; the next reset makes another one
    return box2d.renew_world(car, CarRacing._destroy)


class UndrawnRacing:
    """Within it CarRacing's steps draw no observation: they give the one before. A step draws for 99 % of its time.

    It is no other environment: drawing changes nothing that a later step reads.
    """

    def __init__(self, racing: Any):
        self._racing = racing
        self._reward = 0.0

    def __enter__(self) -> None:
        self._racing._render = self._render

    def __exit__(self, *_: object) -> None:
        del self._racing._render

    def draw(self) -> np.ndarray:
        """(96, 96, 3) uint8: the observation that the newest step left out."""
        reward, self._racing.reward = self._racing.reward, self._reward
        self._racing.state = self._racing._render("state_pixels")
        self._racing.reward = reward
        return self._racing.state

    def _render(self, mode: str) -> Any:
        if mode != "state_pixels":
            return type(self._racing)._render(self._racing, mode)
        self._reward = self._racing.reward  # the picture shows it, and a step changes it after it draws
        return self._racing.state


def skip_drawing(racing: Any) -> UndrawnRacing | None:
    """How its steps leave drawings out; None if it steps or draws in its own way, or is asked for these pictures."""
    from gymnasium.envs.box2d.car_racing import CarRacing

    is_original = all(name not in vars(racing) and getattr(type(racing), name) is getattr(CarRacing, name)
                      for name in ("step", "_render"))
    return UndrawnRacing(racing) if is_original and racing.render_mode != "state_pixels" else None


def _read(racing: Any, observation: np.ndarray) -> list[float]:
    hull, wheels = racing.car.hull, racing.car.wheels
    position, velocity = hull.position, hull.linearVelocity
    return [float(np.hypot(*velocity)), wheels[0].joint.angle, hull.angularVelocity, *position, hull.angle,
            *[wheel.omega for wheel in wheels], sum(not wheel.tiles for wheel in wheels),
            racing.tile_visited_count / len(racing.track)]


def _reward_parts(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # As CarRacing.step has it: 1000 for all tiles together, -0.1 a step; -100 off the field, in place of both. A step
    # that skips frames adds them up. What is visited while the environment resets counts in the first step.
    tiles = TRACK * np.diff(series["track_visited"][1:], prepend=0)
    left = series["reward"] - tiles < OFF_FIELD / 2
    alone = left & (series["reward"] == OFF_FIELD)
    tiles = np.where(alone, 0, tiles)
    off_field = np.where(left, OFF_FIELD, 0)
    return {"tiles": tiles, "time": series["reward"] - tiles - off_field, "off_field": off_field}


CONTINUOUS = Channels(
    {"speed": "m/s", "steering_angle": "rad", "yaw_rate": "rad/s", "position_x": "m", "position_y": "m",
     "heading": "rad", **{f"{wheel}_wheel_speed": "rad/s" for wheel in WHEELS},
     "wheels_on_grass": "", "track_visited": ""},
    _read, ("steering", "gas", "brake"), "", 1 / FPS, _reward_parts,
    traces=("speed", "steering_angle"),
    plots={"Speed": "speed", "Steering angle": "steering_angle", "Yaw rate": "yaw_rate",
           "Wheel speed": {wheel.replace("_", " "): f"{wheel}_wheel_speed" for wheel in WHEELS},
           "Wheels on grass": "wheels_on_grass", "Share of the track visited": "track_visited"},
    portraits={"Track": {"car": ("position_x", "position_y")},
               "Yaw rate over steering": {"car": ("steering_angle", "yaw_rate")}})
DISCRETE = dataclasses.replace(CONTINUOUS, actions=("control",), choices=("none", "right", "left", "gas", "brake"))
