"""BipedalWalker and its hardcore form, read from the Box2D bodies themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from colab_rl.environments.channels import Channels, Drawing
from colab_rl.environments.known import box2d

# As gymnasium.envs.box2d.bipedal_walker has them, which cannot be imported without Box2D.
FPS, SCALE = 50, 30.0  # steps a second; pixels a metre
PICTURE_HEIGHT = 400 / SCALE
MOTORS_TORQUE = 80     # N m
LIDAR_RANGE = 160 / SCALE
LEG_W, LEG_H = 8 / SCALE, 34 / SCALE
HULL = np.array([(-30, 9), (6, 9), (34, 1), (34, -8), (-30, -8)]) / SCALE

JOINTS = ("hip_1", "knee_1", "hip_2", "knee_2")  # the order of the walker's joints and actions
BODIES = ("hull", "thigh_1", "shin_1", "thigh_2", "shin_2")


def renew_world(walker: Any) -> bool:
    """See box2d: a used world gave another trajectory in 27 of 43 episodes."""
    from gymnasium.envs.box2d.bipedal_walker import BipedalWalker

    return box2d.renew_world(walker, BipedalWalker._destroy)


def _read(walker: Any, observation: np.ndarray) -> list[float]:
    hull, joints, legs = walker.hull, walker.joints, walker.legs
    position, velocity = hull.position, hull.linearVelocity
    return [hull.angle, hull.angularVelocity, velocity[0], velocity[1], position[0], position[1],
            *[joint.angle for joint in joints], *[joint.speed for joint in joints],
            *[joint.GetMotorTorque(FPS) for joint in joints],
            legs[1].ground_contact, legs[3].ground_contact, *[ray.fraction * LIDAR_RANGE for ray in walker.lidar]]


def _poses(walker: Any) -> list[tuple[float, float, float]]:
    return [(*body.position, body.angle) for body in (walker.hull, *walker.legs)]


def _terrain(walker: Any) -> list[np.ndarray]:
    blocks = [np.array(fixture.shape.vertices + fixture.shape.vertices[:1]) for body in walker.terrain
              for fixture in body.fixtures if len(fixture.shape.vertices) > 2]
    return [np.column_stack([walker.terrain_x, walker.terrain_y]), *blocks]


def _reward_parts(series: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # As BipedalWalker.step has it: progress and uprightness by potential, the motors' cost, and -100 for a fall,
    # in place of all of them.
    effort = sum(np.clip(np.abs(series[f"action_{joint}"]), 0, 1) for joint in JOINTS)
    fall = series["reward"] == -100
    parts = {"forward": 130 / SCALE * np.diff(series["position_x"]),
             "hull_angle": -5 * np.diff(np.abs(series["hull_angle"])),
             "motors": -0.00035 * MOTORS_TORQUE * effort}
    return {**{name: np.where(fall, 0, part) for name, part in parts.items()}, "fall": np.where(fall, -100.0, 0)}


def _box(width: float, height: float) -> np.ndarray:
    return np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (width / 2, height / 2)


def _legs(*names: str) -> dict[str, Any]:
    """A channel, or a pair of them, of each leg."""
    of_leg = {f"leg {leg}": tuple(name.format(leg) for name in names) for leg in (1, 2)}
    return of_leg if len(names) > 1 else {words: name for words, (name,) in of_leg.items()}


THIGH, SHIN = _box(LEG_W, LEG_H), _box(0.8 * LEG_W, LEG_H)
CHANNELS = Channels(
    {"hull_angle": "rad", "hull_angular_velocity": "rad/s",
     "velocity_x": "m/s", "velocity_y": "m/s", "position_x": "m", "position_y": "m",
     **{f"{joint}_angle": "rad" for joint in JOINTS}, **{f"{joint}_speed": "rad/s" for joint in JOINTS},
     **{f"{joint}_torque": "N m" for joint in JOINTS},
     "contact_1": "", "contact_2": "", **{f"lidar_{i}": "m" for i in range(10)}},
    _read, JOINTS, "of full torque", 1 / FPS, _reward_parts,
    Drawing(dict(zip(BODIES, (HULL, THIGH, SHIN, THIGH, SHIN), strict=True)), _poses, _terrain),
    mishap="falls", mishap_reward=-50.0,
    traces=(("hip_1_angle", "hip_2_angle"), ("knee_1_angle", "knee_2_angle")),
    plots={"Hull angle": "hull_angle", "Hull angular velocity": "hull_angular_velocity",
           "Hull velocity": {"forward": "velocity_x", "up": "velocity_y"},
           "Hip angle": _legs("hip_{}_angle"), "Knee angle": _legs("knee_{}_angle"),
           "Hip speed": _legs("hip_{}_speed"), "Knee speed": _legs("knee_{}_speed")},
    portraits={"Hip: speed over angle": _legs("hip_{}_angle", "hip_{}_speed"),
               "Knee: speed over angle": _legs("knee_{}_angle", "knee_{}_speed"),
               "Knee over hip": _legs("hip_{}_angle", "knee_{}_angle"),
               "Hull: speed over angle": {"hull": ("hull_angle", "hull_angular_velocity")}},
    picture_height=PICTURE_HEIGHT)
