"""Running means and deviations that belong to the training state."""

from __future__ import annotations

import numpy as np

from colab_rl.environments.spaces import ObservationSpec


class RunningMoments:
    """Mean and variance of all that was seen, merged batch by batch.

    Chan et al. 1979, "Updating formulae and a pairwise algorithm for computing sample
    variances", in float64. Before the first batch the mean is 0 and the variance 1.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.count = 0
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)

    def update(self, batch: np.ndarray) -> None:
        """Merges (n, *shape) values."""
        count = len(batch)
        if count == 0:
            return
        mean, variance = batch.mean(axis=0, dtype=np.float64), batch.var(axis=0, dtype=np.float64)
        total = self.count + count
        delta = mean - self.mean
        self.variance = (self.variance * self.count + variance * count
                         + delta**2 * (self.count * count / total)) / total
        self.mean = self.mean + delta * (count / total)
        self.count = total

    def state_dict(self) -> dict[str, np.ndarray | int]:
        """Count, mean and variance."""
        return {"count": self.count, "mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: dict) -> None:
        """Takes over what `state_dict` gave."""
        self.count, self.mean, self.variance = int(state["count"]), state["mean"], state["variance"]


class ObservationNormalizer:
    """Observations less their mean, over their deviation, clipped to [-10, 10].

    The moments change only in `update`, between iterations, so that collecting and
    updating see the same policy. Images are left alone: a network scales them itself.
    """

    clip = 10.0

    def __init__(self, spec: ObservationSpec, enabled: bool):
        self._spec = spec
        shape = spec.numbers(spec.zeros()).shape
        self.enabled = enabled and shape != (0,)
        self.moments = RunningMoments(shape)
        self._prepare()

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """(..., *obs_shape), normalised; the same numbers whatever rows are beside a row."""
        if not self.enabled:
            return observations
        if self._spec.parts:
            packed = observations.copy()
            numbers = self._spec.numbers(packed)
            numbers[...] = self._normalized(numbers)
            return packed
        return self._normalized(observations)

    def update(self, observations: np.ndarray) -> None:
        """Merges (n, *obs_shape) observations into the moments."""
        if self.enabled:
            self.moments.update(self._spec.numbers(observations))
            self._prepare()

    def state_dict(self) -> dict:
        """The moments."""
        return self.moments.state_dict()

    def load_state_dict(self, state: dict) -> None:
        """Takes over what `state_dict` gave."""
        self.moments.load_state_dict(state)
        self._prepare()

    def _normalized(self, numbers: np.ndarray) -> np.ndarray:
        # Not np.clip: it takes four times as long for a few numbers.
        return np.minimum(np.maximum((numbers - self._mean) * self._scale, -self.clip), self.clip)

    def _prepare(self) -> None:
        self._mean = self.moments.mean.astype(np.float32)
        self._scale = (1 / np.sqrt(self.moments.variance + 1e-8)).astype(np.float32)


class RewardNormalizer:
    """Rewards over the running deviation of the discounted return (Engstrom et al. 2020, arXiv:2005.12729)."""

    clip = 10.0

    def __init__(self, num_envs: int, gamma: float, enabled: bool):
        self.gamma = gamma
        self.enabled = enabled
        self.moments = RunningMoments(())
        self.discounted = np.zeros(num_envs)

    def __call__(self, rewards: np.ndarray, done: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """(T, N) rewards, in float32, scaled by moments that already hold them.

        done, valid: (T, N) bool, where an episode ends, and which rows are transitions.
        """
        if not self.enabled:
            return rewards.astype(np.float32)
        returns = np.empty_like(rewards)
        for t in range(len(rewards)):
            self.discounted = self.discounted * self.gamma + rewards[t]
            returns[t] = self.discounted
            self.discounted = self.discounted * ~done[t]
        self.moments.update(returns[valid])
        return np.clip(rewards / self.unit, -self.clip, self.clip).astype(np.float32)

    @property
    def unit(self) -> np.float64:
        """What a normalised reward of 1 is in the environment's rewards."""
        return np.float64(np.sqrt(self.moments.variance + 1e-8)) if self.enabled else np.float64(1)

    def state_dict(self) -> dict:
        """The moments and each environment's discounted return so far."""
        return {"discounted": self.discounted, **self.moments.state_dict()}

    def load_state_dict(self, state: dict) -> None:
        """Takes over what `state_dict` gave."""
        self.discounted = state["discounted"]
        self.moments.load_state_dict(state)
