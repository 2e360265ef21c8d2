"""When a target score is reached: a test on fresh episodes that holds over all looks of a run.

A look is a test of the policy of one iteration. An evaluation's episodes were seen before, and the luckiest of many
looks would stop the run. So a look plays others, of seeds that no other look has, in groups of growing size:

    EnvPool steps training        10, 30, 60, 120, 240 episodes in EnvPool, whose step costs a third of gymnasium's.
                                  Then 30 on gymnasium, whose mean must reach the target too: the score is gymnasium's
    gymnasium steps training      20, 50, 100, 200 episodes on gymnasium, after an evaluation that reaches the target

After each group the test ends with no if the mean is below the target. It ends with yes if there are 100 episodes and
the lower bound of the mean is at the target. The bound is one-sided, mean - t * standard error, at the level
ERROR / (looks * 2): a run has so many looks at most, and a look decides twice. By Bonferroni's inequality, the chance
that a run ever stops below its target is then ERROR at most, as far as a mean of 100 returns is normal (group
sequential tests: Jennison and Turnbull 1999, chapter 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from colab_rl.algorithms import Algorithm
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.pool import Pool

ERROR = 0.05            # chance that a run stops below its target
FEWEST = 100            # episodes that say yes
NEAR = 0.15             # share of the target that a return may lack to be near it
POOL_GROUPS, GROUPS = (10, 30, 60, 120, 240), (20, 50, 100, 200)  # episodes so far
AGREEING = 30           # episodes on gymnasium, after those in EnvPool
FIRST_SEED, SEEDS_OF_A_LOOK = 10_000_000, 1_000  # apart from those of all other evaluations


class Target:
    """A target score: when a look at it is due, and what a look is.

    eval_every: iterations between evaluations. Near the target, looks come four times as often.
    total_steps: of the run. There is a look at its end too.
    pool: plays episodes in EnvPool if that steps training, else None.
    """

    def __init__(self, score: float, eval_every: int, total_steps: int, evaluator: Evaluator, pool: Pool | None):
        self.score = score
        self._eval_every = eval_every
        self._every = max(1, eval_every // 4)
        self._total_steps = total_steps
        self._evaluator = evaluator
        self._pool = pool

    @property
    def follows_evaluations(self) -> bool:
        """Whether a look costs so much that an evaluation comes first."""
        return self._pool is None

    def is_due(self, iteration: int, step: int, nearest: float) -> bool:
        """Whether a look is, if `nearest` is the highest return or score that was just seen."""
        if iteration % self._every and step < self._total_steps:
            return False
        return nearest >= self.score - NEAR * abs(self.score)

    def is_reached(self, algorithm: Algorithm, iteration: int, step: int) -> bool:
        """The look after an iteration: whether fresh episodes say so."""
        level = ERROR / (2 * self._most_looks(iteration, step))
        act = algorithm.acting()
        first, pool = FIRST_SEED + SEEDS_OF_A_LOOK * iteration, self._pool

        def on_gymnasium(episodes: int, done: int) -> np.ndarray:
            return self._evaluator.evaluate(act, episodes, first + done, memory=algorithm.memory).returns

        if pool is None:
            return self._holds(on_gymnasium, GROUPS, level)
        return self._holds(lambda episodes, done: pool.play(algorithm, episodes, first + done), POOL_GROUPS, level) \
            and bool(on_gymnasium(AGREEING, 0).mean() >= self.score)

    def _most_looks(self, iteration: int, step: int) -> int:
        """How many there can be in a run whose later iterations are as long."""
        iterations = self._total_steps / max(step, 1) * iteration
        looks = math.ceil(iterations / self._every)
        if self.follows_evaluations and self._eval_every % self._every:
            looks += math.ceil(iterations / self._eval_every)  # those that fall between
        return looks

    def _holds(self, play: Callable[[int, int], np.ndarray], groups: tuple[int, ...], level: float) -> bool:
        returns = np.zeros(0)
        for episodes in groups:
            returns = np.concatenate([returns, play(episodes - len(returns), len(returns))])
            if returns.mean() < self.score:
                return False
            if episodes >= FEWEST and lower_bound(returns, level) >= self.score:
                return True
        return False


def lower_bound(values: np.ndarray, level: float) -> float:
    """The one-sided lower bound of the mean of (N,) values: it is above the truth with a chance of `level`.

    Student's t by its first term over the normal quantile (Abramowitz and Stegun, 26.7.5).
    """
    degrees, z = len(values) - 1, NormalDist().inv_cdf(1 - level)
    t = z + (z**3 + z) / (4 * degrees)
    return float(values.mean() - t * values.std(ddof=1) / math.sqrt(len(values)))
