"""Environments, described, stepped together, saved and restored exactly."""

from colab_rl.environments.base import StepResult, VectorEnvironment
from colab_rl.environments.make import EnvironmentSource, describe, environment_name, make_environment

__all__ = ["EnvironmentSource", "StepResult", "VectorEnvironment", "describe", "environment_name",
           "make_environment"]
