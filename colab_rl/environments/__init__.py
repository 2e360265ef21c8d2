"""Environments, described, stepped together, saved and restored exactly."""

from colab_rl.environments.base import StepResult, VectorEnvironment
from colab_rl.environments.channels import Channels, Drawing
from colab_rl.environments.channels_of import channels_of
from colab_rl.environments.make import (
    EnvironmentSource,
    close_environment,
    describe,
    environment_name,
    make_environment,
)

__all__ = ["Channels", "Drawing", "EnvironmentSource", "StepResult", "VectorEnvironment", "channels_of",
           "close_environment", "describe", "environment_name", "make_environment"]
