"""The score that a run ends with: its best checkpoints, on episodes that chose none of them.

    candidates   the CANDIDATES checkpoints with the highest scores (checkpoints/retention.py)
    choosing     CHOOSING_EPISODES for each, from CHOOSING_SEED on; the highest is the best. They are EnvPool's if that
                 steps training: it takes a third of the time
    scoring      `score_episodes` of the best, from SCORING_SEED on: its score, with the 95 % interval of the mean.
                 They are the episodes of the command `evaluate`, which gives the same score again

Which checkpoints there are to choose from, and all seeds, depend on the run alone. So a run that was killed, here or
earlier, ends with the same score.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np

from colab_rl.algorithms import Algorithm
from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.confirmation import Confirmation
from colab_rl.errors import ColabRLError
from colab_rl.evaluation.evaluator import EvaluationResult, Evaluator
from colab_rl.evaluation.intervals import bootstrap_interval
from colab_rl.evaluation.pool import Pool
from colab_rl.progress import progress_bar, say

CHOOSING_EPISODES = 20
CHOOSING_SEED, SCORING_SEED = 2_000_000, 0  # apart from EVALUATION_SEED and from each other
AT_ONCE = 50  # episodes between two looks at whether a stop was asked


class Stopped(Exception):
    """A stop was asked while a score was measured."""


class Scorer:
    """Scores candidates of one run.

    load: gives the algorithm of a checkpoint, on the CPU. Raises ColabRLError if no place has it whole.
    pool: plays episodes in EnvPool if that steps training, else None.
    """

    def __init__(self, environment: str, best_by: str, episodes: int, evaluator: Evaluator,
                 load: Callable[[Manifest], Algorithm], pool: Pool | None):
        self._environment = environment
        self._best_by = best_by
        self._episodes = min(episodes, CHOOSING_EPISODES), episodes
        self._evaluator = evaluator
        self._load = load
        self._pool = pool

    def score(self, candidates: Sequence[Manifest], own: Mapping[str, Algorithm], is_stopping: Callable[[], bool]
              ) -> Confirmation:
        """The best of the candidates, and its score.

        own: by state_sha256, algorithms that are at hand. A candidate that no place has whole is left out, and said.
        Raises Stopped if a stop was asked, ColabRLError if the environment fails or no candidate is left.
        """
        algorithms: dict[str, Algorithm] = {}
        for manifest in candidates:
            digest = manifest.state_sha256
            try:
                algorithms[digest] = own[digest] if digest in own else self._load(manifest)
            except ColabRLError as error:
                say(f"generation {manifest.generation} is left out of the final score: {error}")
        candidates = [manifest for manifest in candidates if manifest.state_sha256 in algorithms]
        if not candidates:
            raise ColabRLError("no checkpoint can be read")
        few, many = self._episodes
        others = f"the best of {len(candidates)} checkpoints" if len(candidates) > 1 else "the run's best checkpoint"
        say(f"scoring {others} on {many} new episodes")
        chosen, table, choosing = candidates[0], [], few * len(candidates) if len(candidates) > 1 else 0
        with progress_bar(choosing + many, "scoring", "episode") as bar:
            if choosing:
                results = [self._chosen_by(algorithms[candidate.state_sha256], few, is_stopping, bar.update)
                           for candidate in candidates]
                criteria = [result.criterion(self._best_by) for result in results]
                chosen = candidates[criteria.index(max(criteria))]
                table = [{"generation": candidate.generation, "step": candidate.step,
                          "mean": float(result.returns.mean()), "episodes": few, "seed": CHOOSING_SEED,
                          "backend": "envpool" if self._pool else "gymnasium"}
                         for candidate, result in zip(candidates, results, strict=True)]
            result = self._play(algorithms[chosen.state_sha256], many, SCORING_SEED, is_stopping, bar.update)
        summary: dict[str, Any] = result.summary()
        low, high = bootstrap_interval(result.returns)
        return Confirmation(
            generation=chosen.generation, step=chosen.step, state_sha256=chosen.state_sha256, mean=summary["mean"],
            std=summary["std"], low=low, high=high, episodes=many, seed=SCORING_SEED,
            environment=f"{self._environment}, gymnasium {gymnasium.__version__}",
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), mishap=result.mishap,
            mishaps=result.mishaps.nonzero()[0].tolist(), returns=result.returns.tolist(), candidates=table)

    def _chosen_by(self, algorithm: Algorithm, episodes: int, is_stopping: Callable[[], bool],
                   ended: Callable[[int], object]) -> EvaluationResult:
        if self._pool is None:
            return self._play(algorithm, episodes, CHOOSING_SEED, is_stopping, ended)
        if is_stopping():
            raise Stopped
        returns = self._pool.play(algorithm, episodes, CHOOSING_SEED)
        ended(episodes)
        return EvaluationResult(returns, np.zeros(episodes, np.int64))

    def _play(self, algorithm: Algorithm, episodes: int, seed: int, is_stopping: Callable[[], bool],
              ended: Callable[[int], object]) -> EvaluationResult:
        result: EvaluationResult | None = None
        for done in range(0, episodes, AT_ONCE):
            if is_stopping():
                raise Stopped
            part = self._evaluator.evaluate(algorithm.acting(), min(AT_ONCE, episodes - done), seed + done, ended=ended,
                                            memory=algorithm.memory)
            result = result.and_then(part) if result else part
        assert result is not None
        return result
