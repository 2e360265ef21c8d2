"""Says that a user's own code is another by now than the code that made a checkpoint."""

from __future__ import annotations

from colab_rl.algorithms.registry import algorithm_class
from colab_rl.checkpoints import Manifest
from colab_rl.environments import EnvironmentSource
from colab_rl.networks.registry import own_network
from colab_rl.progress import say
from colab_rl.runs.identity import Identity
from colab_rl.training.code import own_changes, own_code


def say_what_changed(identity: Identity, manifest: Manifest, source: EnvironmentSource) -> None:
    """In a line. A policy acts by the code of now, with the parameters that the earlier code learned."""
    own = {"environment": source, "network": own_network(identity.make_config().network)}
    changed = own_changes(manifest.versions, algorithm_class(identity.algorithm),
                          **{name: own_code(thing) for name, thing in own.items() if thing})
    if changed:
        say(f"{' and '.join(changed)} changed after generation {manifest.generation} of {identity.name} was saved; "
            "the policy acts by the code of now")
