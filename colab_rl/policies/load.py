"""A policy, out of a checkpoint of its run, or out of what an export keeps of one."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

import colab_rl
from colab_rl.algorithms import Algorithm
from colab_rl.algorithms.own import loading, make_algorithm, own_code_guarded
from colab_rl.algorithms.registry import make_config
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.checkpoints import Damaged, Manifest
from colab_rl.checkpoints.confirmation import Confirmation, read_confirmation
from colab_rl.checkpoints.layout import METRICS
from colab_rl.checkpoints.recovery import Checkpoint, load_from_any, load_generation, manifests_in, newest_whole
from colab_rl.checkpoints.retention import best
from colab_rl.checkpoints.serialization import deserialize
from colab_rl.environments import EnvironmentSource, close_environment, describe, make_environment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.evaluator import EVALUATION_SEED, EvaluationResult, Evaluator
from colab_rl.evaluation.replay import record_episode
from colab_rl.policies.folder import STATE
from colab_rl.policies.policy import Policy
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity
from colab_rl.runs.places import Location, Places
from colab_rl.settings import Config


def evaluate_checkpoint(identity: Identity, checkpoint: Checkpoint, episodes: int, seed: int,
                        source: EnvironmentSource, recordings: int = 0) -> EvaluationResult:
    """See `evaluate`."""
    spaces = describe(source)
    with (plain_torch(identity.threads),
          contextlib.closing(evaluator_of(identity, source, spaces, episodes)) as evaluator):
        algorithm = load_algorithm(identity, checkpoint, spaces)
        for reason in evaluator.check_repeats():
            say(f"{reason}: the same seed may give another return another time")
        with (own_code_guarded(identity.algorithm, identity.config.get("network", "auto"), "; nothing was written"),
              progress_bar(episodes, "evaluating", "episode") as bar):
            return evaluator.evaluate(algorithm.acting(), episodes, seed, ended=bar.update, record=recordings,
                                      values=algorithm.values, memory=algorithm.memory)


def evaluator_of(identity: Identity, source: EnvironmentSource, spaces: Spaces, episodes: int) -> Evaluator:
    """An Evaluator for a run's policies. If the run has one environment, so has this: there may be no second one."""
    return Evaluator(source, spaces, 1 if identity.config["num_envs"] == 1 else episodes)


def record_checkpoint(identity: Identity, checkpoint: Checkpoint, seed: int, source: EnvironmentSource) -> Episode:
    """See `record`."""
    spaces = describe(source)
    environment = make_environment(source)
    try:
        with (plain_torch(identity.threads),
              own_code_guarded(identity.algorithm, identity.config.get("network", "auto"), "; nothing was written")):
            algorithm = load_algorithm(identity, checkpoint, spaces)
            return record_episode(environment, spaces, algorithm.acting(),
                                  algorithm.values, seed, identity.env_id, algorithm.memory)
    finally:
        close_environment(environment)


def find_checkpoint(identity: Identity, places: Places, which: str | int,
                    tell: Callable[[str], None] = say) -> Checkpoint:
    """A run's `best` or `latest` whole checkpoint, or that of a generation, verified.

    Before the first evaluation, `best` is the latest. tell: gets a line about what could not be read on the way to it.
    Raises UsageError for one that is not there, ColabRLError if it, or each of them, is not whole.
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


def policy_of(run: str, which: str | int, deterministic: bool, env: EnvironmentSource | None, root: Location,
              store: Location) -> Policy:
    """See `load_policy`."""
    places = Places(root, store)
    identity = places.require(run)
    checkpoint = find_checkpoint(identity, places, which)
    spaces = Spaces.from_json(identity.spaces) or describe(identity.environment(env, "load_policy"))
    algorithm = load_algorithm(identity, checkpoint, spaces)
    score = score_of(identity, checkpoint, read_confirmation(filter(None, places.tiers(identity))))
    return Policy(describe_policy(identity, checkpoint.manifest, spaces, score),
                  acting_of(algorithm, identity.threads), lambda: algorithm, deterministic, algorithm.memory)


def acting_of(algorithm: Algorithm, threads: int) -> Callable[..., np.ndarray]:
    """Deterministic actions of a batch, as the evaluation takes them."""
    acting = algorithm.acting()
    if algorithm.acts_in_numpy:
        return acting

    def act(rows: np.ndarray, **memory: np.ndarray) -> np.ndarray:
        with plain_torch(threads):  # how sums are split among them decides their last bits
            return acting(rows, **memory)

    return act


def describe_policy(identity: Identity, manifest: Manifest, spaces: Spaces,
                    score: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is known of a policy, as policy.json has it."""
    return {"run": identity.name, "environment": identity.env_id, "env_kwargs": identity.env_kwargs,
            "algorithm": identity.algorithm,
            "settings": identity.config, "spaces": spaces.to_json(), "score": score,
            "provenance": {"run_id": identity.run_id, "generation": manifest.generation, "step": manifest.step,
                           "iteration": manifest.iteration, "state_sha256": manifest.state_sha256,
                           "saved": manifest.created, "exact": manifest.exact},
            "versions": {"colab_rl": colab_rl.__version__, **manifest.versions}}


def score_of(identity: Identity, checkpoint: Checkpoint, confirmed: Confirmation | None) -> dict[str, Any] | None:
    """A checkpoint's score, as Score takes it: the one that its run ended with, else what training's evaluation there
    gave, without an interval; None if there was none.

    The checkpoint's own table holds the rest of that. Version 0.1.0 did not keep there how many episodes there were,
    which is known unless the run had a target score.
    """
    manifest = checkpoint.manifest
    if confirmed and confirmed.is_of(manifest):
        return {name: getattr(confirmed, name) for name in ("mean", "std", "episodes", "seed", "low", "high")}
    if manifest.score is None:
        return None
    table = next(data for name, data in checkpoint.contents.items() if name.startswith(METRICS))
    row = [{}, *csv.DictReader(io.StringIO(table.decode()))][-1]
    has_target = identity.config.get("target_score") is not None
    usual = None if has_target else identity.config.get("eval_episodes")
    return {"mean": manifest.score, "std": float(row["evaluation/std"]) if "evaluation/std" in row else None,
            "episodes": int(row["evaluation/episodes"]) if "evaluation/episodes" in row else usual,
            "seed": EVALUATION_SEED, "low": None, "high": None}


def algorithm_of(about: Mapping[str, Any], files: Mapping[str, bytes]) -> Algorithm:
    """The algorithm of an exported folder, on the CPU. Raises as `load_algorithm` does."""
    spaces = Spaces.from_json(about["spaces"])
    assert spaces is not None
    config = make_config(about["algorithm"], about["settings"])
    return restored(about["algorithm"], config, spaces, files[STATE], f"the export of {about['run']}")


def load_algorithm(identity: Identity, checkpoint: Checkpoint, spaces: Spaces) -> Algorithm:
    """The run's algorithm as the checkpoint left it, on the CPU. Raises UsageError for an environment of other spaces,
    ColabRLError if the state cannot be loaded.
    """
    identity.check_spaces(spaces)
    return restored(identity.algorithm, identity.make_config(), spaces, checkpoint.state,
                    f"generation {checkpoint.manifest.generation} of {identity.name}")


def restored(name: str, config: Config, spaces: Spaces, state: bytes, what: str) -> Algorithm:
    """An algorithm as a training state has it. what: whose it is. Raises ColabRLError if it cannot be loaded."""
    with plain_torch(THREADS):
        algorithm = make_algorithm(name, config, spaces, torch.device("cpu"), "; nothing was changed")
        with loading(algorithm, name, config.network, lambda: deserialize(state)["algorithm"], what):
            algorithm.load_state_dict(deserialize(state)["algorithm"])
    return algorithm
