"""Who steps the environments in training: gymnasium in worker processes, or EnvPool."""

from __future__ import annotations

from colab_rl.environments.base import VectorEnvironment
from colab_rl.environments.channels import Channels
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment, reason_without_envpool
from colab_rl.environments.gymnasium_vector import GymnasiumVectorEnvironment
from colab_rl.environments.make import EnvironmentSource
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError, nearest
from colab_rl.progress import say

BACKENDS = ("auto", "gymnasium", "envpool")


def check_backend(name: str) -> None:
    """Raises UsageError for an unknown backend."""
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}{nearest(name, BACKENDS)} (available: {', '.join(BACKENDS)})")


def reason_not_available(backend: str, source: EnvironmentSource, spaces: Spaces) -> str | None:
    """Why a backend cannot step an environment on this machine, None if it can."""
    return reason_without_envpool(source, spaces) if backend == "envpool" else None


def choose_backend(name: str, source: EnvironmentSource, spaces: Spaces) -> str:
    """The backend of a new run: `auto` takes EnvPool if it is installed and has the environment, unless
    that shows images.

    Raises UsageError if EnvPool is asked for and cannot step it.
    """
    reason = reason_without_envpool(source, spaces) if name != "gymnasium" else None
    if name == "auto" and reason is None and spaces.observation.dtype == "uint8":
        reason = "it draws its pictures otherwise (--backend envpool takes it all the same)"
    if name == "envpool" and reason:
        raise UsageError(f"no EnvPool here: {reason}; use --backend gymnasium")
    if name == "auto" and reason:
        say(f"EnvPool does not step this run: {reason}")
    return "gymnasium" if name == "gymnasium" or reason else "envpool"


def make_vector_environment(backend: str, source: EnvironmentSource, spaces: Spaces, num_envs: int, seed: int,
                            description: Channels | None = None) -> VectorEnvironment:
    """Training's environments. Raises EnvironmentFault if they cannot be made.

    description: their channels, if they are lent to an evaluation too.
    """
    if backend == "envpool":
        return EnvPoolVectorEnvironment(source, spaces, num_envs, seed)
    return GymnasiumVectorEnvironment(source, spaces, num_envs, seed, description=description)
