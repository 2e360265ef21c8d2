"""Seconds of a gradient step of SAC of stable-baselines3, or of SBX, its twin in JAX; sac.py runs it as a peer."""

import importlib
import json
import os
import sys
import time

import numpy as np
import torch
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure


def main() -> None:
    setting = json.loads(sys.argv[1])
    torch.set_num_threads(setting["threads"])
    os.sched_setaffinity(0, range(setting["threads"]))  # JAX starts a thread for each core that it may use
    algorithm = importlib.import_module(setting["library"]).SAC
    env = make_vec_env(setting["env"], 1, seed=0)
    networks = {"net_arch": setting["hidden_sizes"]}
    if setting["layer_norm"]:
        networks["layer_norm"] = True
    model = algorithm("MlpPolicy", env, batch_size=setting["minibatch_size"], buffer_size=setting["transitions"],
                      policy_kwargs=networks, device="cpu", seed=0)
    model.set_logger(configure(None, []))
    rng = np.random.default_rng(0)
    size, action_size = env.observation_space.shape[0], env.action_space.shape[0]
    for _ in range(setting["transitions"]):
        model.replay_buffer.add(rng.normal(size=(1, size)), rng.normal(size=(1, size)),
                                rng.uniform(-1, 1, (1, action_size)), rng.normal(size=1), rng.random(1) < 0.01, [{}])
    model.train(setting["steps"], setting["minibatch_size"])  # JAX compiles for this number of steps
    wall, processor = time.perf_counter(), time.process_time()
    model.train(setting["steps"], setting["minibatch_size"])
    print(json.dumps({"wall": (time.perf_counter() - wall) / setting["steps"],
                      "processor": (time.process_time() - processor) / setting["steps"]}))


if __name__ == "__main__":
    main()
