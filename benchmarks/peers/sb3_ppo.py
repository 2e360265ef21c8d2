"""Steps per second of PPO of stable-baselines3, or of SBX, its twin in JAX; throughput.py runs it as a peer."""

import importlib
import json
import sys
import time

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecNormalize


class Clock(BaseCallback):
    """The moments at which rollouts begin: an iteration lies between two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[tuple[int, float]] = []

    def _on_rollout_start(self) -> None:
        self.moments.append((self.num_timesteps, time.perf_counter()))

    def _on_step(self) -> bool:
        return True


def main() -> None:
    setting = json.loads(sys.argv[1])
    kind = {"Dummy": DummyVecEnv, "Subproc": SubprocVecEnv}[setting["vector"]]
    envs = VecNormalize(make_vec_env(setting["env"], setting["num_envs"], seed=0, vec_env_cls=kind),
                        gamma=setting["gamma"])
    algorithm = importlib.import_module(setting["library"]).PPO
    model = algorithm("MlpPolicy", envs, n_steps=setting["num_steps"], batch_size=setting["minibatch_size"],
                      n_epochs=setting["update_epochs"], gamma=setting["gamma"], gae_lambda=setting["gae_lambda"],
                      clip_range=setting["clip_range"], learning_rate=setting["learning_rate"], device="cpu", seed=0)
    clock = Clock()
    size = setting["num_envs"] * setting["num_steps"]
    model.learn(size * (setting["iterations"] + 1) + 1, callback=clock)
    (first, began), (last, ended) = clock.moments[1], clock.moments[-1]
    envs.close()
    print(json.dumps({"steps_per_second": (last - first) / (ended - began)}))


if __name__ == "__main__":
    main()
