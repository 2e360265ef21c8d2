"""Episodes to be filmed, and what can be read back of a picture or a film."""

from __future__ import annotations

import subprocess

import gymnasium
import imageio_ffmpeg
import numpy as np

from colab_rl.environments import describe, make_environment
from colab_rl.evaluation.replay import record_episode

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def episode_of(env_id, act, seed=0, values=None):
    """An episode of a plain policy, recorded; and the environment, which renders."""
    environment = make_environment(env_id, render_mode="rgb_array")
    spaces = describe(env_id)
    values = values or (lambda obs: np.arange(len(obs), dtype=np.float32))
    return environment, spaces, record_episode(environment, spaces, act, values, seed, env_id)


def random_actions(env_id):
    space = make_environment(env_id).action_space
    space.seed(3)
    return lambda obs: np.array([space.sample()])


def where(image, color):
    """Rows and columns of the pixels of exactly that colour."""
    return np.nonzero((image == color).all(axis=-1))


def probe(path):
    """What FFmpeg says of a file, its number of frames, and the first one as (H, W, 3)."""
    said = subprocess.run([FFMPEG, "-i", path], capture_output=True, text=True).stderr
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    return said, frames


def decoded(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


class Mystery(gymnasium.Env):
    """Nobody described it; its picture is wide and odd."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (12,))
    metadata = {"render_modes": ["rgb_array"]}
    shape = (31, 57, 3)
    dtype = np.uint8

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.full(3, self.t / 10, np.float32), float(np.sum(action)), self.t == 7, False, {}

    def render(self):
        return np.full(self.shape, 200, self.dtype)
