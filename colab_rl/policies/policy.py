"""A policy outside of its run: from observations to actions.

    policy = load_policy("walker")        # or an exported folder, which needs numpy and onnxruntime alone
    action = policy(obs)
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from colab_rl.arguments import checked
from colab_rl.arithmetic import THREADS, plain_torch
from colab_rl.errors import ColabRLError, UsageError
from colab_rl.policies import card
from colab_rl.policies.folder import ONNX, is_folder, read_folder

if TYPE_CHECKING:
    from colab_rl.algorithms.base import Act, Algorithm
    from colab_rl.environments.spaces import Spaces

NESTED = ("observation_space", "action_space")  # of Spaces: None if what the environment has is one flat array


class Score(float):
    """The mean return of deterministic episodes of gymnasium's own environment.

    std: of their returns. episodes, seed: how many, and the first one's seed; None if that was not kept.
    low, high: the 95 % interval of the mean. None if the episodes also chose the checkpoint, so that the score is not
        confirmed.
    """

    std: float | None
    episodes: int | None
    seed: int | None
    low: float | None
    high: float | None

    def __new__(cls, mean: float, std: float | None = None, episodes: int | None = None,  # noqa: D102
                seed: int | None = None, low: float | None = None, high: float | None = None) -> Score:
        score = super().__new__(cls, mean)
        score.std, score.episodes, score.seed, score.low, score.high = std, episodes, seed, low, high
        return score

    def __str__(self) -> str:
        return card.score_text({"mean": float(self), "std": self.std, "episodes": self.episodes, "seed": self.seed,
                                "low": self.low, "high": self.high})

    __repr__ = __str__


class Policy:
    """`policy(obs)` is an action, `policy.value(obs)` an estimate of the discounted return.

    about: what policy.json says (card.py shows it). score: see Score; None before the first evaluation.
    deterministic: whether a call gives the likeliest action, or draws one; it may be set.
    """

    def __init__(self, about: Mapping[str, Any], act: Act, algorithm: Callable[[], Algorithm],
                 deterministic: bool, memory: int = 0):
        self.about, self.deterministic = about, deterministic
        self.score = Score(**about["score"]) if about["score"] else None
        self._act, self._make_algorithm = act, algorithm
        self._memory_size, self._memory = memory, np.zeros((0, memory), np.float32)
        observation, spaces = about["spaces"]["observation"], about["spaces"]
        self._shape, self._dtype = tuple(observation["shape"]), np.dtype(observation["dtype"])
        self._spaces = {name: spaces[name] for name in ("discrete", "sample_dtype", "sample_low", "sample_high")}
        self._nested = [spaces.get(which) for which in NESTED]

    def __call__(self, obs: Any, deterministic: bool | None = None) -> Any:
        """The action for one observation, as the environment gives it, or actions for a batch, with a dimension in
        front (of each array in a Dict or Tuple).

        It has the form and the type that the environment's action space samples. deterministic: in place of the
        policy's own. With memory, the rows of a batch are episodes beside each other, the same ones until `reset`.
        Raises UsageError for an observation of another shape or type, or one that is not finite.
        """
        rows, alone = self._rows(obs)
        remembered = {"memory": self._remembered(len(rows))} if self._memory_size else {}
        if self.deterministic if deterministic is None else deterministic:
            actions = self._act(rows, **remembered)
        else:
            with plain_torch(THREADS):
                actions = self._algorithm.act(rows, deterministic=False, **remembered)
        actions = as_sampled(actions, self._spaces)
        actions = actions[0] if alone else actions
        if self._nested[1] is None:
            return actions
        from colab_rl.environments.nested import acted, from_outline

        return acted(from_outline(self._nested[1]), actions)

    def value(self, obs: Any) -> Any:
        """The estimate for one observation, or (B,) for a batch; see Algorithm.values. It needs torch.

        With memory, a batch is the observations of one episode, from its first one on.
        """
        rows, alone = self._rows(obs)
        with plain_torch(THREADS):
            values = self._algorithm.values(rows)
        return values[0] if alone else values

    def reset(self) -> None:
        """To call when an episode begins: a network with memory forgets the one before. Others have nothing to."""
        self._memory = np.zeros((0, self._memory_size), np.float32)

    @cached_property
    def spaces(self) -> Spaces:
        """The observations and the action space. Raises ColabRLError if gymnasium is missing."""
        check_gymnasium("policy.spaces")
        from colab_rl.environments.spaces import Spaces

        spaces = Spaces.from_json(self.about["spaces"])
        assert spaces is not None
        return spaces

    def __repr__(self) -> str:
        return card.line(self.about)

    def _repr_html_(self) -> str:
        return card.html_card(self.about)

    @cached_property
    def _algorithm(self) -> Algorithm:
        return self._make_algorithm()

    def _remembered(self, rows: int) -> np.ndarray:
        """(rows, numbers) that the network carries, which a call overwrites."""
        if not len(self._memory):
            self._memory = np.zeros((rows, self._memory_size), np.float32)
        if len(self._memory) != rows:
            raise UsageError(f"the policy remembers {len(self._memory)} episodes, and this is a batch of {rows}: call "
                             "policy.reset() when others begin")
        return self._memory

    def _rows(self, obs: Any) -> tuple[np.ndarray, bool]:
        """The observations as a batch, and whether it was one alone."""
        if self._nested[0] is not None:
            return self._packed(obs)
        try:
            rows = np.asarray(obs)
        except ValueError:  # lists of several lengths
            rows = np.asarray(None)
        if rows.dtype != self._dtype:
            if not np.can_cast(rows.dtype, self._dtype, "same_kind"):
                raise UsageError(f"an observation of {self.about['environment']} is an array of {self._dtype}, and "
                                 f"this is {rows.dtype} ({type(obs).__name__})")
            with np.errstate(over="ignore"):
                rows = rows.astype(self._dtype)
        alone = rows.shape == self._shape
        if alone:
            rows = rows[None]
        elif rows.ndim != len(self._shape) + 1 or rows.shape[1:] != self._shape:
            batch = f"(B, {', '.join(map(str, self._shape))})"
            raise UsageError(f"an observation of {self.about['environment']} has shape {self._shape}, a batch of them "
                             f"{batch}, and this has {rows.shape}")
        if not np.isfinite(rows).all():
            raise UsageError(f"an observation holds {rows[~np.isfinite(rows)][0]}, which {self._dtype} numbers of "
                             "an environment never are")
        return rows, alone

    def _packed(self, obs: Any) -> tuple[np.ndarray, bool]:
        """See `_rows`, of observations that are not arrays of the rows' shape."""
        from colab_rl.environments.nested import Observed, batched, from_outline

        space = from_outline(self._nested[0])
        observed = Observed(space)
        for alone, observations_of in ((True, lambda: [obs]), (False, lambda: batched(space, obs))):
            with contextlib.suppress(TypeError, ValueError, LookupError):
                observations = observations_of()
                rows = observed.spec.zeros(len(observations))
                for observation, row in zip(observations, rows, strict=True):
                    observed.write(observation, row)
                if not np.isfinite(observed.spec.numbers(rows)).all():
                    raise UsageError("an observation holds a number that is not finite, which those of an environment "
                                     "always are")
                return rows, alone
        raise UsageError(f"an observation of {self.about['environment']} is one of {space}, or a batch of them; "
                         f"this {type(obs).__name__} is neither")


def as_sampled(actions: Any, spaces: Mapping[str, Any]) -> Any:
    """A policy's actions, as the action space of an environment samples them. spaces: as run.json keeps them."""
    dtype = spaces["sample_dtype"] or ("int64" if spaces["discrete"] else "float32")
    actions = actions if actions.dtype == dtype else actions.astype(dtype)
    low, high = spaces["sample_low"], spaces["sample_high"]
    return np.minimum(np.maximum(actions, low), high) if low else actions


@checked
def load_policy(run: str | os.PathLike, *, checkpoint: str | int = "best", deterministic: bool = True,
                env: str | Callable | None = None, root: str | os.PathLike | None = None,
                store: str | os.PathLike | None = None) -> Policy:
    """Loads the policy of a run's checkpoint, or of an exported folder.

    run: a run's name, or the folder: a path, or one in this folder that holds policy.json.
    checkpoint: `best`, `latest` or a generation.
    deterministic: whether a call gives the likeliest action. A run's are the actions of `evaluate`, bit for bit; those
        of a folder with an ONNX file differ by its `max_difference` at most. Otherwise it draws them, in the same order
        each time that it is loaded.
    env: give it if version 0.1.0 of colab_rl began the run, on a function.

    Raises UsageError for an unknown run, checkpoint or folder. Raises ColabRLError for a damaged one.
    """
    if not is_folder(run):
        from colab_rl.policies.load import policy_of

        return policy_of(os.fspath(run), checkpoint, deterministic, env, root, store)
    if checkpoint != "best":
        raise UsageError(f"{run} is an exported folder, and holds one policy: leave checkpoint out")
    folder = Path(run).expanduser()
    about, files = read_folder(folder)

    def algorithm() -> Algorithm:
        from colab_rl.policies.load import algorithm_of

        return algorithm_of(about, files)

    try:
        card.facts(about)
        if any(about["spaces"].get(which) is not None for which in NESTED):
            check_gymnasium(f"the policy of {about['run']}, for its observations or actions,")
        if ONNX in files:
            outputs = session(files[ONNX])

            def act(rows: np.ndarray, **memory: np.ndarray) -> np.ndarray:
                found = outputs(rows, **memory)
                if memory:
                    memory["memory"][:] = found[1]
                return found[0]

            return Policy(about, act, algorithm, deterministic, about.get("memory", 0))
        from colab_rl.policies.load import acting_of

        return Policy(about, acting_of(algorithm(), int(about["versions"]["threads"])), algorithm, deterministic,
                      about.get("memory", 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # whole, and not of this package's making
        raise ColabRLError(f"{folder} does not hold a policy of this format ({type(error).__name__}: {error}); export "
                           "it again") from error


def check_gymnasium(what: str) -> None:
    """Raises ColabRLError if gymnasium, which `what` needs, is missing."""
    if importlib.util.find_spec("gymnasium") is None:
        raise ColabRLError(f"{what} needs gymnasium, which is not installed: pip install gymnasium")


def session(model: bytes) -> Callable[..., list[np.ndarray]]:
    """Gives all outputs of an ONNX graph for a batch, and for what else the graph takes, by name.

    Raises ColabRLError if onnxruntime is missing.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise ColabRLError("an exported policy runs in onnxruntime, which is not installed: pip install onnxruntime"
                           ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # others cost more than such networks take
    try:
        opened = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has many of its own
        raise ColabRLError(f"this onnxruntime cannot read policy.onnx: {' '.join(str(error).split())[:200]}; "
                           "install a newer one") from error
    return lambda rows, **more: opened.run(None, {"obs": rows, **more})
