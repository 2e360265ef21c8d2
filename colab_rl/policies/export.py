"""What an exported folder holds of a checkpoint: its score over fresh episodes, its graph, and how exact that is."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from colab_rl.algorithms import Algorithm
from colab_rl.arithmetic import plain_torch
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.checkpoints.serialization import serialize
from colab_rl.environments import EnvironmentSource, channels_of, close_environment, describe, make_environment
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import ColabRLError
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.policies import card
from colab_rl.policies.folder import CARD, EXAMPLE, ONNX, STATE
from colab_rl.policies.load import describe_policy, evaluator_of, load_algorithm
from colab_rl.policies.policy import session
from colab_rl.progress import progress_bar
from colab_rl.runs.identity import Identity

EPISODES, SEED = 100, 0     # those of `evaluate`; no training sees these seeds
COMPARED = 100_000          # observations
COMPARED_BYTES = 2**28
LARGEST_DIFFERENCE = 1e-5   # of an action, of its range
HUGE = 1e30                 # squares of it overflow, sums of its products do not
CHUNK = 2000


def check_packages() -> None:
    """Raises ColabRLError that names the command if what an export needs is not installed."""
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ColabRLError(f"export needs {' and '.join(missing)}; nothing was written; pip install "
                           f"{' '.join(missing)}, then export again")


def contents_of(identity: Identity, checkpoint: Checkpoint, source: EnvironmentSource,
                video: Path | None) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of an export, and policy.json's content without them.

    source: what makes the environment, for 100 episodes. video: goes along.
    """
    spaces = describe(source)
    algorithm = load_algorithm(identity, checkpoint, spaces)
    with plain_torch(identity.threads):
        score, seen = evaluated(algorithm, identity, source, spaces)
        graph, onnx, difference = _graph(algorithm, spaces, lambda: observations(source, spaces, seen))
    about = {**describe_policy(identity, checkpoint.manifest, spaces, score), "function": identity.trains_on_function,
             "channels": _channels(source), "license": "unknown", "onnx": onnx, "memory": algorithm.memory,
             "max_difference": difference}
    film = f"replay{video.suffix}" if video else None
    contents = {STATE: serialize({"algorithm": algorithm.state_dict()}),
                EXAMPLE: card.example(about, graph is not None).encode(),
                CARD: card.model_card(about, film).encode()}
    if graph is not None:
        contents[ONNX] = graph
    if video and film:
        contents[film] = video.read_bytes()
    return contents, about


def evaluated(algorithm: Algorithm, identity: Identity, source: EnvironmentSource, spaces: Spaces
              ) -> tuple[dict[str, Any], np.ndarray]:
    """The score of `evaluate`, as Score takes it, and observations from its episodes."""
    acting, seen, room = algorithm.acting(), [], COMPARED * 7 // 10
    if spaces.observation.dtype == "uint8":
        room = min(room, COMPARED_BYTES // 2 // spaces.observation.zeros().nbytes)

    def act(obs: np.ndarray, **memory: np.ndarray) -> np.ndarray:
        nonlocal room
        if room > 0:
            seen.append(obs[:room].copy())
            room -= len(seen[-1])
        return acting(obs, **memory)

    with (contextlib.closing(evaluator_of(identity, source, spaces, EPISODES)) as evaluator,
          progress_bar(EPISODES, "evaluating", "episode") as bar):
        result = evaluator.evaluate(act, EPISODES, SEED, ended=bar.update, memory=algorithm.memory)
    summary, (low, high) = result.summary(), bootstrap_interval(result.returns)
    return ({"mean": summary["mean"], "std": summary["std"], "episodes": summary["episodes"], "seed": SEED,
             "low": low, "high": high}, np.concatenate(seen))


def observations(source: EnvironmentSource, spaces: Spaces, seen: np.ndarray) -> np.ndarray:
    """COMPARED of them: of episodes, near those, at the space's bounds, huge, and zero. Of images as many as
    COMPARED_BYTES hold: of episodes, random, and black.
    """
    rng, spec, tenth = np.random.default_rng(0), spaces.observation, COMPARED // 10
    if spec.dtype == "uint8":
        return np.concatenate([seen, rng.integers(0, 256, seen.shape, np.uint8), spec.zeros(1)])
    environment = make_environment(source)
    box: Any = gymnasium.spaces.flatten_space(environment.observation_space)
    low, high = (np.clip(bound, -HUGE, HUGE) for bound in (box.low, box.high))
    close_environment(environment)
    shape = (tenth, *spec.shape)
    corners = np.where(rng.random(shape) < 0.5, low, high)
    huge = rng.choice([-1, 1], shape) * 10.0 ** rng.uniform(0, np.log10(HUGE), shape)
    near = COMPARED - 2 * tenth - 1 - len(seen)
    around = seen[rng.integers(len(seen), size=near)] + seen.std(0) * rng.normal(size=(near, *spec.shape))
    return np.concatenate([seen, around, corners, huge, spec.zeros(1)]).astype(spec.dtype)


def difference_of(model: bytes, scored: bytes | None, act: Callable[..., np.ndarray], spaces: Spaces,
                  rows: np.ndarray, memory: int = 0) -> float:
    """The largest difference between a graph's actions and the policy's, of the range of an action.

    Of a continuous action without bounds, that range is what the policy's own actions span here. Of a discrete action
    it is how much less the policy's choice scores in the graph than the graph's own, of the scores' range or of the
    largest of them: 0 if the choices are the same. Rows for which the policy itself is not finite are left out.
    memory: numbers that the policy carries through an episode. They are drawn from [-1, 1] here.
    """
    run = session(scored or model)
    theirs, ours, rng = [], [], np.random.default_rng(0)
    chunks = np.array_split(rows, max(1, len(rows) // CHUNK))
    with np.errstate(all="ignore"):
        for chunk in progress_bar(len(chunks), "comparing policy.onnx", "chunk", iterable=chunks):
            remembered = {"memory": rng.uniform(-1, 1, (len(chunk), memory)).astype(np.float32)} if memory else {}
            outputs = run(chunk, **remembered)
            theirs.append(outputs[-1] if scored else outputs[0])
            ours.append(act(chunk, **remembered))
        found, expected = np.concatenate(theirs), np.concatenate(ours)
        if scored is not None:
            finite = np.isfinite(found).all(1)
            found, chosen = found[finite], (expected[finite] - spaces.first_action).astype(np.int64)
            lost = found.max(1) - np.take_along_axis(found, chosen[:, None], 1)[:, 0]
            # Two choices may score alike but for the last digits: then any of them is as good.
            size = np.maximum(np.ptp(found, axis=1), np.abs(found).max(1))
            return float((lost / np.where(size > 0, size, 1)).max(initial=0))
        finite = np.isfinite(expected).all(1)
        found, expected = found[finite].astype(np.float64), expected[finite].astype(np.float64)
        span = spaces.action_high.astype(np.float64) - spaces.action_low
        span = np.where(np.isfinite(span), span, np.ptp(expected, axis=0)) if len(expected) else span
        return float((np.abs(found - expected) / np.where(span > 0, span, 1)).max(initial=0))


def newest_video(folder: Path) -> Path | None:
    """A run's newest video; an MP4, if there is one."""
    films = sorted((path for path in folder.glob("*.*") if path.suffix in (".mp4", ".gif")),
                   key=lambda path: (path.suffix == ".mp4", path.stat().st_mtime))
    return films[-1] if films else None


def _graph(algorithm: Algorithm, spaces: Spaces,
           observations_of: Callable[[], np.ndarray]) -> tuple[bytes | None, dict[str, Any], float | None]:
    """The ONNX file, what policy.json says of it, and the largest difference of an action. Without a file, why."""
    from colab_rl.policies.graph import MEMORY, NEXT_MEMORY, OPSET, NotDrawable, draw

    try:
        model, scored = draw(algorithm.acting(), spaces, algorithm.memory)
    except NotDrawable as error:
        return None, {"file": None, "missing": f"ONNX cannot hold {error}"}, None
    rows = observations_of()
    difference = difference_of(model, scored, algorithm.acting(), spaces, rows, algorithm.memory)
    if not difference <= LARGEST_DIFFERENCE:
        return None, {"file": None, "missing": f"its actions differ by {difference:.1e} of their range"}, difference
    about = {"file": ONNX, "opset": OPSET, "input": "obs", "output": "action", "compared": len(rows)}
    if algorithm.memory:
        about |= {"memory": MEMORY, "next_memory": NEXT_MEMORY}
    return model, about, difference


def _channels(source: EnvironmentSource) -> dict[str, Any]:
    environment = make_environment(source)
    channels = channels_of(environment)
    close_environment(environment)
    return {"units": dict(channels.units), "actions": list(channels.actions), "action_unit": channels.action_unit,
            "step_seconds": channels.step_seconds}
