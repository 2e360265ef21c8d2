"""A policy, out of a checkpoint of its run."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

import torch

from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.registry import algorithm_class
from colab_rl.checkpoints import Damaged
from colab_rl.checkpoints.recovery import Checkpoint, load_from_any, load_generation, manifests_in, newest_whole
from colab_rl.checkpoints.retention import best
from colab_rl.checkpoints.serialization import deserialize
from colab_rl.environments import EnvironmentSource, close_environment, describe, make_environment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.evaluator import EvaluationResult, Evaluator
from colab_rl.evaluation.replay import record_episode
from colab_rl.machine import plain_torch
from colab_rl.progress import say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Places


def evaluate_checkpoint(identity: Identity, checkpoint: Checkpoint, episodes: int, seed: int,
                        source: EnvironmentSource, recordings: int = 0) -> EvaluationResult:
    """See `evaluate`."""
    spaces = describe(source)
    slots = 1 if identity.config["num_envs"] == 1 else episodes  # there may be no second instance of it
    with plain_torch(identity.threads), contextlib.closing(Evaluator(source, spaces, slots)) as evaluator:
        algorithm = load_algorithm(identity, checkpoint, spaces)
        for reason in evaluator.check_repeats():
            say(f"{reason}: the same seed may give another return another time")
        return evaluator.evaluate(lambda obs: algorithm.act(obs, deterministic=True), episodes, seed, progress=True,
                                  record=recordings, values=algorithm.values)


def record_checkpoint(identity: Identity, checkpoint: Checkpoint, seed: int, source: EnvironmentSource) -> Episode:
    """See `record`."""
    spaces = describe(source)
    environment = make_environment(source)
    try:
        with plain_torch(identity.threads):
            algorithm = load_algorithm(identity, checkpoint, spaces)
            return record_episode(environment, spaces, lambda obs: algorithm.act(obs, deterministic=True),
                                  algorithm.values, seed, identity.env_id)
    finally:
        close_environment(environment)


def find_checkpoint(identity: Identity, places: Places, which: str | int,
                    tell: Callable[[str], None] = say) -> Checkpoint:
    """A run's `best` or `latest` whole checkpoint, or that of a generation, verified.

    Before the first evaluation, `best` is the latest. tell: is told what could not be read on the way to it.
    Raises UsageError for one that is not there, ColabRLError where it, or each of them, is not whole.
    """
    local, remote = places.tiers(identity)
    if re.fullmatch("[0-9]+", str(which)):
        return load_generation(local, remote, int(which))
    if which not in ("best", "latest"):
        raise UsageError(f"checkpoint is best, latest or a generation's number, not {which!r}")
    if which == "best":
        tiers = [tier for tier in (local, remote) if tier]
        manifests = manifests_in(tiers, tell)
        while (best_one := best(manifests)) is not None:
            try:
                return load_from_any(tiers, best_one)
            except (Damaged, StorageError) as error:
                tell(f"skipping a checkpoint: {error}")
                manifests.remove(best_one)
    checkpoint = newest_whole(local, remote, tell)
    if checkpoint is None:
        raise ColabRLError(f"{identity.name} has no checkpoint yet")
    return checkpoint


def load_algorithm(identity: Identity, checkpoint: Checkpoint, spaces: Spaces) -> Algorithm:
    """The run's algorithm as the checkpoint left it, on the CPU. Raises UsageError for an environment of other spaces,
    ColabRLError where the state cannot be loaded.
    """
    identity.check_spaces(spaces)
    algorithm = algorithm_class(identity.algorithm)(identity.make_config(), spaces, torch.device("cpu"))
    try:
        algorithm.load_state_dict(deserialize(checkpoint.state)["algorithm"])
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ColabRLError(f"generation {checkpoint.manifest.generation} of {identity.name} is whole but cannot be "
                           "loaded by this version of colab_rl; nothing was changed") from error
    return algorithm
