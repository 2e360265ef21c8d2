"""Reading a run: its status, its files held against their manifests, its policy's score."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from typing import Any

import torch

from colab_rl.algorithms import Algorithm, make_algorithm
from colab_rl.arguments import checked
from colab_rl.checkpoints import Damaged, Manifest, Tier
from colab_rl.checkpoints.manifest import generation_of
from colab_rl.checkpoints.recovery import Checkpoint, load_from, manifests_in, newest_whole, of_generation
from colab_rl.checkpoints.retention import best
from colab_rl.checkpoints.serialization import deserialize
from colab_rl.environments import EnvironmentSource, close_environment, describe, make_environment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError, StorageError, UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.evaluator import EvaluationResult, Evaluator, record_episode
from colab_rl.machine import torch_threads
from colab_rl.progress import progress_bar, say
from colab_rl.runs.identity import Identity, Places
from colab_rl.storage import NotFound

Location = str | os.PathLike | None


@checked
def status(run: str | None = None, *, root: Location = None, store: Location = None) -> list[dict[str, Any]]:
    """The run, or all runs, as `status --json` prints them. Raises UsageError for an unknown run."""
    return status_in(Places(root, store), run)


def status_in(places: Places, run: str | None = None) -> list[dict[str, Any]]:
    """See `status`."""
    if run:
        return [_status_of(places.require(run), places)]
    found = []
    for name in places.names():
        try:
            found.append(_status_of(places.require(name), places))
        except ColabRLError as error:  # one damaged run does not hide the others
            say(f"{name}: {error}")
    return found


@checked
def verify(run: str, *, root: Location = None, store: Location = None) -> dict[str, Any]:
    """Reads every file of every checkpoint, here and in the store, against its manifest.

    Returns `run, checkpoints, files, bad`: how many were read, and a line for each that is bad.
    """
    places = Places(root, store)
    identity = places.require(run)
    bad: list[str] = []
    checkpoints = files = 0
    local, remote = places.tiers(identity)
    for tier in filter(None, (local, remote)):
        seen: set[str] = set()
        names = tier.names()
        if tier is not remote and not names and not tier.storage.list(""):
            continue  # a bare machine
        for name in progress_bar(len(names), f"reading {tier.storage.place}", "checkpoint", iterable=names):
            try:
                manifest = tier.read(name)
            except NotFound:  # a run that trains removes its oldest while they are read
                continue
            except (Damaged, StorageError) as error:
                checkpoints += 1
                bad.append(f"{tier.storage.place}: {error}")
                continue
            checkpoints += 1
            for file, record in {**manifest.files, **manifest.history}.items():
                if file not in seen:
                    seen.add(file)
                    try:
                        record.check(file, tier.storage.get(file))
                    except (Damaged, StorageError) as error:
                        if _is_there(tier, name):
                            bad.append(f"{tier.storage.place}: {error}")
        try:
            Identity.from_bytes(tier.storage.get("run.json"), tier.storage.place)
        except ColabRLError as error:
            bad.append(f"{tier.storage.place}: {error}")
        files += len(seen) + 1
    return {"run": run, "checkpoints": checkpoints, "files": files, "bad": bad}


@checked
def evaluate(run: str, *, checkpoint: str | int = "best", episodes: int = 100, seed: int = 0,
             env: EnvironmentSource | None = None, recordings: int = 0, root: Location = None,
             store: Location = None) -> EvaluationResult:
    """Deterministic episodes of a checkpoint's policy on stock gymnasium, with seeds seed, seed + 1, ...

    checkpoint: `best`, `latest` or a generation.
    env: needed where the run trains on a function.
    recordings: how many of the episodes, from the first, are recorded (see telemetry.Episode).
    Raises UsageError for an unknown run or a bad number, ColabRLError where the checkpoint cannot be read.
    """
    if not 1 <= episodes <= 1_000_000:
        raise UsageError(f"episodes must be between 1 and 1,000,000, not {episodes}")
    _check_seed(seed)
    places = Places(root, store)
    identity = places.require(run)
    source = identity.environment(env, "evaluate")
    return evaluate_checkpoint(identity, find_checkpoint(identity, places, checkpoint), episodes, seed, source,
                               recordings)


def evaluate_checkpoint(identity: Identity, checkpoint: Checkpoint, episodes: int, seed: int,
                        source: EnvironmentSource, recordings: int = 0) -> EvaluationResult:
    """See `evaluate`."""
    spaces = describe(source)
    algorithm = load_algorithm(identity, checkpoint, spaces)
    with torch_threads(identity.threads), contextlib.closing(Evaluator(source, spaces)) as evaluator:
        return evaluator.evaluate(lambda obs: algorithm.act(obs, deterministic=True), episodes, seed, progress=True,
                                  record=recordings, values=algorithm.values)


@checked
def record(run: str, *, checkpoint: str | int = "best", seed: int = 0, env: EnvironmentSource | None = None,
           root: Location = None, store: Location = None) -> Episode:
    """One deterministic episode of a checkpoint's policy, recorded; its return is that of `evaluate` for this seed.

    Arguments and errors are those of `evaluate`.
    """
    _check_seed(seed)
    places = Places(root, store)
    identity = places.require(run)
    return record_checkpoint(identity, find_checkpoint(identity, places, checkpoint), seed,
                             identity.environment(env, "record"))


def record_checkpoint(identity: Identity, checkpoint: Checkpoint, seed: int, source: EnvironmentSource) -> Episode:
    """See `record`."""
    spaces = describe(source)
    algorithm = load_algorithm(identity, checkpoint, spaces)
    environment = make_environment(source)
    try:
        with torch_threads(identity.threads):
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
        return of_generation(local, remote, int(which))
    if which not in ("best", "latest"):
        raise UsageError(f"checkpoint is best, latest or a generation's number, not {which!r}")
    if which == "best":
        tiers = [tier for tier in (local, remote) if tier]
        manifests = manifests_in(tiers, tell)
        while (best_one := best(manifests)) is not None:
            try:
                return load_from(tiers, best_one)
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
    if not spaces.are(identity.spaces):
        raise UsageError(f"{identity.env_id} has other spaces than when {identity.name} was begun; nothing was changed")
    algorithm = make_algorithm(identity.algorithm, identity.make_config(), spaces, torch.device("cpu"))
    try:
        algorithm.load_state_dict(deserialize(checkpoint.state)["algorithm"])
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise ColabRLError(f"generation {checkpoint.manifest.generation} of {identity.name} is whole but cannot be "
                           "loaded by this version of colab_rl; nothing was changed") from error
    return algorithm


def _check_seed(seed: int) -> None:
    if not 0 <= seed < 2**31:
        raise UsageError(f"the seed must be between 0 and {2**31 - 1}, not {seed}")


def _status_of(identity: Identity, places: Places) -> dict[str, Any]:
    local, remote = places.tiers(identity)
    here, there = _states(local), _states(remote)
    # By generation and hash, the newest first; two lines of one run may share a generation.
    names = sorted({**here, **there}, key=lambda name: (generation_of(name), name), reverse=True)
    rows, manifests = [], []
    for name in names:
        states = [found.get(name, (None, "absent")) for found in (here, there)]
        manifest = next((manifest for manifest, _ in states if manifest), None)
        rows.append({"generation": generation_of(name), "step": manifest and manifest.step,
                     "score": manifest and manifest.score, "state_sha256": manifest and manifest.state_sha256,
                     "local": states[0][1], "store": states[1][1]})
        if any(state in ("verified", "written") for _, state in states):
            manifests += [manifest] if manifest else []
    newest: Manifest | None = manifests[0] if manifests else None
    best_one = best(manifests)
    missing = [row for row in rows if row["local"] == "verified" and row["store"] in ("absent", "bad")]
    scored = next((manifest for manifest in manifests if manifest.score is not None), None)
    return {
        "run": identity.name, "env_id": identity.env_id, "algorithm": identity.algorithm,
        "backend": identity.backend, "seed": identity.config["seed"],
        "iteration": newest.iteration if newest else 0, "step": newest.step if newest else 0,
        "total_steps": newest.total_steps if newest else identity.config["total_steps"],
        "finished": bool(newest and newest.finished), "exact": newest.exact if newest else True,
        "score": scored and scored.score, "best_score": best_one and best_one.score,
        "state_sha256": newest and newest.state_sha256, "checkpoints": rows,
        "pending": len(missing) if remote else 0,
    }


def _states(tier: Tier | None) -> dict[str, tuple[Manifest | None, str]]:
    """Manifest and `verified`, `written` or `bad` of every checkpoint in a tier; each file is read."""
    states: dict[str, tuple[Manifest | None, str]] = {}
    if tier is None:
        return states
    try:
        manifests = tier.read_all()
    except StorageError as error:
        say(f"{tier.storage.place} cannot be listed: {error}")
        return states
    whole = {manifest.name for manifest in tier.whole_among([*filter(None, manifests.values())])}
    good = "verified" if tier.storage.proves else "written"
    states = {name: (manifest, good if name in whole else "bad") for name, manifest in manifests.items()
              if name in whole or _is_there(tier, name)}
    written = {name: manifest for name, (manifest, state) in states.items() if manifest and state == "written"}
    try:
        if written:
            confirmed = tier.confirmed(written.values(), tier.storage.get("run.json"))
            states |= {manifest.name: (manifest, "verified") for manifest in confirmed}
    except StorageError as error:
        say(f"{tier.storage.place} cannot be verified on Drive: {error}")
    return states


def _is_there(tier: Tier, name: str) -> bool:
    """Whether a manifest is still there: a run that trains removes its oldest while they are read."""
    try:
        tier.storage.get(name)
    except NotFound:
        return False
    except StorageError:
        pass
    return True
