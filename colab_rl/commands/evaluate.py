"""`evaluate` and `record`: a policy's score, and one of its episodes."""

from __future__ import annotations

from colab_rl.arguments import check_seed, checked
from colab_rl.commands.changed_code import say_what_changed
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.repeats import say_unless_it_repeats
from colab_rl.errors import UsageError
from colab_rl.evaluation.episode import Episode
from colab_rl.evaluation.evaluator import EvaluationResult
from colab_rl.policies.load import evaluate_checkpoint, find_checkpoint, record_checkpoint
from colab_rl.runs.places import Location, Places


@checked
def evaluate(run: str, *, checkpoint: str | int = "best", episodes: int = 100, seed: int = 0,
             env: EnvironmentSource | None = None, recordings: int = 0, root: Location = None,
             store: Location = None) -> EvaluationResult:
    """Plays deterministic episodes of a checkpoint's policy in gymnasium's own environment: seeds seed, seed + 1, ...

    checkpoint: `best`, `latest` or a generation.
    env: give it if the run trains on a function.
    recordings: how many of the first episodes it records, see Episode.
    Raises UsageError for an unknown run or a bad number, ColabRLError if the checkpoint cannot be read.
    """
    if not 1 <= episodes <= 1_000_000:
        raise UsageError(f"episodes must be between 1 and 1,000,000, not {episodes}")
    check_seed(seed)
    places = Places(root, store)
    identity = places.require(run)
    source = identity.environment(env, "evaluate")
    found = find_checkpoint(identity, places, checkpoint)
    say_what_changed(identity, found.manifest, source)
    return evaluate_checkpoint(identity, found, episodes, seed, source, recordings)


@checked
def record(run: str, *, checkpoint: str | int = "best", seed: int = 0, env: EnvironmentSource | None = None,
           root: Location = None, store: Location = None) -> Episode:
    """Records one deterministic episode of a checkpoint's policy. Its return is that of `evaluate` for this seed.

    Arguments and errors are those of `evaluate`.
    """
    check_seed(seed)
    places = Places(root, store)
    identity = places.require(run)
    source = identity.environment(env, "record")
    say_unless_it_repeats(source)
    found = find_checkpoint(identity, places, checkpoint)
    say_what_changed(identity, found.manifest, source)
    return record_checkpoint(identity, found, seed, source)
