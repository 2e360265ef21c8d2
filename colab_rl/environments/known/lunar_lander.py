"""LunarLander, whose actions are four choices or two numbers."""

from __future__ import annotations

import dataclasses

import numpy as np

from colab_rl.environments.channels import Channels

# LunarLander.step divides its numbers by these, from a viewport of 600 x 400, 30 to the metre, and 50 steps a second.
SCALE = np.array([10.0, 20 / 3, 5.0, 7.5, 1.0, 2.5, 1.0, 1.0])

DISCRETE = Channels(
    {"position_x": "m", "position_y": "m", "velocity_x": "m/s", "velocity_y": "m/s", "angle": "rad",
     "angular_velocity": "rad/s", "contact_1": "", "contact_2": ""},
    read=lambda lander, observation: observation * SCALE, actions=("engine",), step_seconds=1 / 50,
    choices=("none", "left", "main", "right"), mishap="crashes", mishap_reward=-50.0,
    portraits={"angular velocity over angle": ("angle", "angular_velocity"),
               "velocity x over position x": ("position_x", "velocity_x"),
               "velocity y over position y": ("position_y", "velocity_y")})
CONTINUOUS = dataclasses.replace(DISCRETE, actions=("main_engine", "side_engine"), choices=())
