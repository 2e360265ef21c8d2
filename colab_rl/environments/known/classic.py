"""Classic control: CartPole, Pendulum, Acrobot and the two mountain cars. Their observations are physical."""

from __future__ import annotations

from colab_rl.environments.channels import Channels

CART_POLE = Channels(
    {"cart_position": "m", "cart_velocity": "m/s", "pole_angle": "rad", "pole_speed": "rad/s"},
    actions=("push",), step_seconds=0.02, choices=("left", "right"), mishap="falls",
    portraits={"pole speed over pole angle": ("pole_angle", "pole_speed"),
               "cart velocity over cart position": ("cart_position", "cart_velocity")})
PENDULUM = Channels(
    {"cos_angle": "", "sin_angle": "", "speed": "rad/s"}, actions=("torque",), action_unit="N m", step_seconds=0.05,
    portraits={"speed over sin angle": ("sin_angle", "speed")})
ACROBOT = Channels(
    {"cos_angle_1": "", "sin_angle_1": "", "cos_angle_2": "", "sin_angle_2": "", "speed_1": "rad/s",
     "speed_2": "rad/s"}, actions=("torque",), step_seconds=0.2, choices=("-1", "0", "+1"),
    portraits={"speed 1 over sin angle 1": ("sin_angle_1", "speed_1"),
               "speed 2 over sin angle 2": ("sin_angle_2", "speed_2")})
MOUNTAIN_CAR = Channels({"position": "", "velocity": ""}, actions=("push",), choices=("left", "none", "right"))
CONTINUOUS_MOUNTAIN_CAR = Channels({"position": "", "velocity": ""}, actions=("force",))
