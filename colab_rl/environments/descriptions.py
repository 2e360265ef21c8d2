"""The channels of environments that Gymnasium brings along.

BipedalWalker is read from its Box2D world; where an observation is physical already, or
a multiple of it, its numbers are named and scaled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments.channels import Channels, Drawing

MOST_OBSERVATIONS = 64  # channels of an environment that nobody describes
JOINTS = ("hip_1", "knee_1", "hip_2", "knee_2")  # the order of the walker's joints and actions
BODIES = ("hull", "thigh_1", "shin_1", "thigh_2", "shin_2")
WALKER_UNITS = {
    "hull_angle": "rad", "hull_angular_velocity": "rad/s",
    "velocity_x": "m/s", "velocity_y": "m/s", "position_x": "m", "position_y": "m",
    **{f"{joint}_angle": "rad" for joint in JOINTS}, **{f"{joint}_speed": "rad/s" for joint in JOINTS},
    **{f"{joint}_torque": "N m" for joint in JOINTS},
    "contact_1": "", "contact_2": "", **{f"lidar_{i}": "m" for i in range(10)},
}


def channels_of(environment: gymnasium.Env) -> Channels:
    """An environment's own description, else the one we have of it, else `observation_0`, ... without units."""
    unwrapped: Any = environment.unwrapped
    own = getattr(unwrapped, "channels", None)
    if isinstance(own, Channels):
        return own
    kinds = {kind.__name__ for kind in type(unwrapped).__mro__ if kind.__module__.startswith("gymnasium.envs.")}
    if "BipedalWalker" in kinds:
        return _walker()
    if "LunarLander" in kinds and unwrapped.continuous:
        return dataclasses.replace(DESCRIBED["LunarLander"], actions=("main_engine", "side_engine"))
    for name, described in DESCRIBED.items():
        if name in kinds:
            return described
    count = min(int(np.prod(environment.observation_space.shape or ())), MOST_OBSERVATIONS)
    return Channels({f"observation_{i}": "" for i in range(count)},
                    read=lambda unwrapped, observation: np.ravel(observation)[:count])


def _named(units: Mapping[str, str], *, scale: float | list[float] = 1.0, actions: tuple[str, ...] = ("action",),
           action_unit: str = "", step_seconds: float | None = None) -> Channels:
    """The observation's numbers by name, times `scale`."""
    factors = np.broadcast_to(np.asarray(scale, np.float64), len(units))
    return Channels(units, lambda environment, observation: observation * factors, actions, action_unit, step_seconds)


def _walker() -> Channels:
    """BipedalWalker and its hardcore form, from the Box2D bodies themselves."""
    from gymnasium.envs.box2d import bipedal_walker as source

    def read(walker: Any, observation: np.ndarray) -> list[float]:
        hull, joints, legs = walker.hull, walker.joints, walker.legs
        position, velocity = hull.position, hull.linearVelocity
        return [hull.angle, hull.angularVelocity, velocity[0], velocity[1], position[0], position[1],
                *[joint.angle for joint in joints], *[joint.speed for joint in joints],
                *[joint.GetMotorTorque(source.FPS) for joint in joints],
                legs[1].ground_contact, legs[3].ground_contact,
                *[ray.fraction * source.LIDAR_RANGE for ray in walker.lidar]]

    def poses(walker: Any) -> list[tuple[float, float, float]]:
        return [(*body.position, body.angle) for body in (walker.hull, *walker.legs)]

    def terrain(walker: Any) -> list[np.ndarray]:
        blocks = [np.array(fixture.shape.vertices + fixture.shape.vertices[:1]) for body in walker.terrain
                  for fixture in body.fixtures if len(fixture.shape.vertices) > 2]
        return [np.column_stack([walker.terrain_x, walker.terrain_y]), *blocks]

    def reward_parts(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        # As BipedalWalker.step has it: progress and uprightness by potential, the motors' cost, and -100 for a fall,
        # in place of all of them.
        effort = sum(np.clip(np.abs(series[f"action_{joint}"]), 0, 1) for joint in JOINTS)
        fall = series["reward"] == -100
        parts = {"forward": 130 / source.SCALE * np.diff(series["position_x"]),
                 "hull_angle": -5 * np.diff(np.abs(series["hull_angle"])),
                 "motors": -0.00035 * source.MOTORS_TORQUE * effort}
        return {**{name: np.where(fall, 0, part) for name, part in parts.items()}, "fall": np.where(fall, -100.0, 0)}

    def box(width: float, height: float) -> np.ndarray:
        return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)

    thigh, shin = box(source.LEG_W, source.LEG_H), box(0.8 * source.LEG_W, source.LEG_H)
    outlines = dict(zip(BODIES, (np.array(source.HULL_POLY) / source.SCALE, thigh, shin, thigh, shin), strict=True))
    return Channels(WALKER_UNITS, read, JOINTS, "of full torque", 1 / source.FPS, reward_parts,
                    Drawing(outlines, poses, terrain))


_LANDER_UNITS = {"position_x": "m", "position_y": "m", "velocity_x": "m/s", "velocity_y": "m/s", "angle": "rad",
                 "angular_velocity": "rad/s", "contact_1": "", "contact_2": ""}
# LunarLander.step divides each by these, from a viewport of 600 x 400, 30 to the metre, and 50 steps a second.
_LANDER_SCALE = [10.0, 20 / 3, 5.0, 7.5, 1.0, 2.5, 1.0, 1.0]

DESCRIBED: dict[str, Channels] = {
    "LunarLander": _named(_LANDER_UNITS, scale=_LANDER_SCALE, actions=("engine",), step_seconds=1 / 50),
    "CartPoleEnv": _named({"cart_position": "m", "cart_velocity": "m/s", "pole_angle": "rad", "pole_speed": "rad/s"},
                          actions=("push",), step_seconds=0.02),
    "PendulumEnv": _named({"cos_angle": "", "sin_angle": "", "speed": "rad/s"}, actions=("torque",), action_unit="N m",
                          step_seconds=0.05),
    "AcrobotEnv": _named({"cos_angle_1": "", "sin_angle_1": "", "cos_angle_2": "", "sin_angle_2": "",
                          "speed_1": "rad/s", "speed_2": "rad/s"}, actions=("torque",), step_seconds=0.2),
    "Continuous_MountainCarEnv": _named({"position": "", "velocity": ""}, actions=("force",)),
    "MountainCarEnv": _named({"position": "", "velocity": ""}, actions=("push",)),
}
