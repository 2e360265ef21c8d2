"""When a target score is reached: a test on fresh episodes that holds over all looks of a run.

A look is an evaluation whose own episodes reach the target. They were seen before, and the luckiest of many looks would
stop the run. So the test plays others, of seeds that no other look has:

    EnvPool      where it steps training: 20, 60, 120, 240 episodes; a step costs a third of gymnasium's
    gymnasium    then 20, 50, 100, 200 episodes, since the score is gymnasium's

After each group the test ends with no if the mean is below the target. It ends with yes if there are 100 episodes and
the lower bound of the mean is at the target; in EnvPool that only leads on to gymnasium. The bound is one-sided,
mean - t * standard error, at the level ERROR / (looks * 2): a run has so many looks at most, and a look decides after
100 and after 200 episodes. By Bonferroni's inequality, the chance that a run ever stops below its target is then ERROR
at most, as far as a mean of 100 returns is normal (group sequential tests: Jennison and Turnbull 1999, chapter 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from statistics import NormalDist

import numpy as np

from colab_rl.algorithms import Algorithm
from colab_rl.environments import EnvironmentSource
from colab_rl.environments.envpool_vector import EnvPoolVectorEnvironment
from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.evaluator import Evaluator
from colab_rl.evaluation.replay import LONGEST_EPISODE, Function, endless

ERROR = 0.05            # chance that a run stops below its target
FEWEST = 100            # episodes that say yes
NEAR = 0.15             # share of the target that a return may lack to be near it
POOL_GROUPS, GROUPS = (20, 60, 120, 240), (20, 50, 100, 200)  # episodes so far
FIRST_SEED, SEEDS_OF_A_LOOK = 10_000_000, 1_000  # apart from those of all other evaluations


class Target:
    """A target score, and what it takes to know that it is reached.

    pool: the environment if EnvPool steps training, else None.
    """

    def __init__(self, score: float, spaces: Spaces, evaluator: Evaluator, pool: EnvironmentSource | None):
        self.score = score
        self._spaces = spaces
        self._evaluator = evaluator
        self._pool = pool

    def is_near(self, result: float) -> bool:
        """Whether a return or a score is so near that looks come more often."""
        return result >= self.score - NEAR * abs(self.score)

    def is_reached(self, algorithm: Algorithm, look: int, looks: int) -> bool:
        """Whether fresh episodes say so.

        look: a number that no other look of the run has. looks: how many there can be in it.
        """
        act = partial(algorithm.act, deterministic=True)
        first, level = FIRST_SEED + SEEDS_OF_A_LOOK * look, ERROR / (2 * looks)

        def on_gymnasium(episodes: int, done: int) -> np.ndarray:
            return self._evaluator.evaluate(act, episodes, first + done, memory=algorithm.memory).returns

        pool = self._pool
        if pool and not self._holds(
                lambda episodes, done: play_in_pool(pool, self._spaces, act, episodes, first + done, algorithm.memory),
                POOL_GROUPS, level):
            return False
        return self._holds(on_gymnasium, GROUPS, level)

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


def play_in_pool(source: EnvironmentSource, spaces: Spaces, act: Function, episodes: int, seed: int,
                 memory: int = 0) -> np.ndarray:
    """(E,) returns of EnvPool's episodes in a pool of their own, which depend on its seed alone.

    memory: how many numbers the policy carries through an episode; `act` takes them, too.
    """
    remembered = {"memory": np.zeros((episodes, memory), np.float32)} if memory else {}
    with EnvPoolVectorEnvironment(source, spaces, episodes, seed) as envs:
        envs.reset()
        returns, running = np.zeros(episodes), np.ones(episodes, bool)
        for _ in range(LONGEST_EPISODE):
            step = envs.step(act(envs.observations, **remembered))
            returns[running] += step.rewards[running]
            running &= ~envs.ended
            if not running.any():
                return returns
    raise endless()
