"""What algorithms share that have a policy and networks that judge it: acting, optimizers, their metrics and state."""

from __future__ import annotations

import copy
import dataclasses
import math
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from colab_rl.algorithms.base import Act, Algorithm
from colab_rl.algorithms.episode_tracker import EpisodeTracker
from colab_rl.algorithms.normalization import ObservationNormalizer
from colab_rl.algorithms.optimizer import ClippedAdam, scheduled
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.errors import Divergence, UsageError
from colab_rl.networks.base import Network, Remembered
from colab_rl.networks.layers import Gain
from colab_rl.networks.registry import acts_in_numpy, make_network
from colab_rl.settings import Config


class ActingPolicy(Protocol):
    """What acting takes of a policy. Observations are normalised, (B, *obs_shape); actions are in the policy's unit."""

    def noise(self, shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
        """(*shape, ...) what `sampler` needs for so many actions."""

    def sampler(self) -> Any:
        """Gives (B, ...) actions for observations and noise, with the parameters of now."""

    def mode(self) -> Act:
        """Gives (B, ...) deterministic actions for observations, with the parameters of now."""

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """The actions in the environment's unit."""


class ActorCritic(Algorithm):
    """A subclass makes `policy`, `networks` and `optimizers` in its `__init__`, after this one's.

    networks: all modules whose parameters are saved, by their names in the state.
    optimizers: by the name of the network that they move.
    generator: draws everything that is random, first the networks' weights.
    """

    policy: ActingPolicy
    networks: dict[str, nn.Module]
    optimizers: dict[str, ClippedAdam]
    _fused = False  # whether gradients are written out

    def __init__(self, config: Config, spaces: Spaces, device: torch.device):
        self.config: Any = config
        self.spaces = spaces
        self.device = device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.observation_normalizer = ObservationNormalizer(spaces.observation, config.normalize_observations)
        self.episodes = EpisodeTracker(config.num_envs)
        self.acts_in_numpy = acts_in_numpy(config.network, spaces.observation) and type(self).act is ActorCritic.act

    @classmethod
    def check(cls, config: Any, spaces: Spaces) -> None:
        """See Algorithm."""
        network = make_network(config, spaces.observation, 1, 1.0, torch.Generator())
        if network.state_size and not cls.takes_memory:
            raise UsageError(f"{cls.name} does not train networks with memory ({config.network}); nothing was written; "
                             "use --algo ppo, or --set network=auto")

    @property
    def evaluated_policy(self) -> ActingPolicy:
        """The one whose deterministic actions are evaluated, filmed and exported."""
        return self.policy

    def make_network(self, outputs: int, gain: Gain, observation: ObservationSpec | None = None,
                     **settings: Any) -> Network:
        """A network as the settings have it. gain: how large the outputs of ours are at first, all or each.

        settings: in place of the config's.
        """
        return make_network(dataclasses.replace(self.config, **settings), observation or self.spaces.observation,
                            outputs, gain, self.generator)

    def not_recording(self) -> AbstractContextManager[None]:
        """The context of an update: autograd records only what `torch.enable_grad` surrounds.

        Gradients that are written out need none of it; `inference_mode` makes each of their calls a little cheaper.
        """
        return torch.inference_mode() if self._fused else torch.no_grad()

    def begin_update(self, progress: float) -> None:
        """Sets the learning rate of an update and starts its metrics afresh."""
        rate = scheduled(self.config.learning_rate, self.config.learning_rate_schedule, progress)
        for optimizer in self.optimizers.values():
            optimizer.begin(rate)

    def optimizer_metrics(self) -> dict[str, float]:
        """Of this update."""
        metrics = {f"optimizer/{network}/{name}": value for network, optimizer in self.optimizers.items()
                   for name, value in optimizer.metrics().items()}
        return {**metrics, "optimizer/learning_rate": next(iter(self.optimizers.values())).learning_rate}

    @torch.inference_mode()
    def act(self, obs: np.ndarray, deterministic: bool, memory: np.ndarray | None = None) -> np.ndarray:
        """See Algorithm."""
        if deterministic:
            return self._deterministic()(obs, memory)
        policy, rows = self.policy, self.observation_normalizer(obs)
        noise = policy.noise((len(rows),), self.generator)
        return policy.to_environment(policy.sampler()(rows if memory is None else Remembered(rows, memory), noise))

    def acting(self) -> Act:
        """See Algorithm."""
        return self._deterministic() if type(self).act is ActorCritic.act else super().acting()

    def _deterministic(self) -> Act:
        policy = self.evaluated_policy
        normalize, mode, to_environment = self.observation_normalizer, policy.mode(), policy.to_environment

        def actions(obs: Any, memory: Any = None) -> Any:
            rows = normalize(obs)
            return to_environment(mode(rows if memory is None else Remembered(rows, memory)))

        return actions

    def on_cpu(self) -> Algorithm:
        """See Algorithm."""
        if self.device.type == "cpu":
            return self
        other = copy.copy(self)
        other.device = torch.device("cpu")
        modules = {name: value for name, value in vars(self).items() if isinstance(value, nn.Module)}
        for name, module in copy.deepcopy(modules).items():  # all in one, since they may share a part
            setattr(other, name, module.cpu())
        return other

    def state_dict(self) -> dict[str, Any]:
        """See Algorithm."""
        return {
            **{name: network.state_dict() for name, network in self.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "observation_normalizer": self.observation_normalizer.state_dict(),
            "episodes": self.episodes.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See Algorithm."""
        for name, network in self.networks.items():
            network.load_state_dict(state[name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.observation_normalizer.load_state_dict(state["observation_normalizer"])
        self.episodes.load_state_dict(state["episodes"])
        self.generator.set_state(state["generator"])


def check_finite(metrics: dict[str, float], *without: str) -> None:
    """Raises Divergence that names the first metric that is not finite, but for those `without` a number."""
    for name, value in metrics.items():
        if not math.isfinite(value) and name not in without:
            raise Divergence(f"{name} is {value}")


def counted(name: str, dead_units: float | None) -> dict[str, float]:
    """The metric of a network's dead units, if it counts them."""
    return {} if dead_units is None else {f"optimizer/{name}/dead_units": dead_units}
