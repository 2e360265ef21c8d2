"""What gymnasium's environments of Box2D need to repeat an episode from its seed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

# What of a b2World its environment may have changed, and a fresh one keeps.
WORLD = ("gravity", "allowSleeping", "autoClearForces", "continuousPhysics", "subStepping", "warmStarting")


def renew_world(environment: Any, destroy: Callable[[Any], None]) -> bool:
    """Gives an environment a fresh `b2World`; whether it could, if it is made of one.

    Its world keeps the order of contacts over resets, so that a seed may give another trajectory on a used environment.
    A world that holds what is not gymnasium's own, or that something else refers to, stays.

    destroy: gymnasium's own `_destroy` of its class, which takes all bodies out of the world.
    """
    kind: Any = type(getattr(environment, "world", None))
    if kind.__name__ != "b2World":
        return True
    if type(environment)._destroy is not destroy:
        return False
    environment._destroy()
    fresh = kind(**{name: getattr(environment.world, name) for name in WORLD})
    if environment.world.bodyCount or _references(environment) >= _references(SimpleNamespace(world=fresh)):
        return False
    environment.world = fresh
    return True


def _references(holder: Any) -> int:
    """How many refer to a holder's world."""
    return sys.getrefcount(holder.world)
