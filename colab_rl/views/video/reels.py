"""The forms of video: what is filmed, and how the frames of its episodes follow one another.

    episode     one episode, whole
    compare     2 to 4 policies side by side on the same seed; who ends earlier waits, dimmed
    evolution   the first seconds of each of several checkpoints, one after the other

Frames are made one at a time: each environment plays its recorded episode again, and is rendered if a frame is due.
If a wrapper repeats actions, each repeat is rendered.
"""

from __future__ import annotations

import contextlib
import math
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from colab_rl.environments import EnvironmentSource, close_environment, environment_name, make_environment
from colab_rl.environments.guard import environment_guarded
from colab_rl.environments.make import metadata_of
from colab_rl.environments.spaces import Spaces
from colab_rl.environments.wrappers import steps_at_once
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.replay import replay
from colab_rl.views.video.overlay import Overlay, free_share
from colab_rl.views.video.panels import BACKGROUND, Scene
from colab_rl.views.video.takes import Take

UNSCALED = 600          # pixels of width at which letters have their size
MOST_FPS = {".mp4": 60.0, ".gif": 25.0}  # frames a second that players show
LEAST_FPS, GREATEST_FPS = 0.05, 1e6     # that are believed; MoviePy tells FFmpeg two decimals
UNTIMED = 30.0          # pictures a second if the environment does not say


@dataclass(frozen=True)
class Style:
    """How it is shown: panels by name, width in pixels, seconds shown of each episode at most (None: all of it).

    stride: pictures from one frame to the next. picture_fps: pictures in a second of the environment's time.
    """

    panels: Collection[str]
    width: int
    seconds: float | None
    stride: int
    picture_fps: float


class FrameRecorder(gymnasium.Wrapper):
    """Beneath wrappers that take several steps in one: renders after each of these steps.

    whole: the environment with all its wrappers, which may render in their own way.
    """

    def __init__(self, env: gymnasium.Env, whole: gymnasium.Env):
        super().__init__(env)
        self.frames: list[Any] = []
        self._whole = whole

    def step(self, action: Any) -> Any:
        """See gymnasium.Env."""
        result = self.env.step(action)
        self.frames.append(self._whole.render())
        return result


class Camera:
    """An environment that renders.

    render_fps: the pictures a second that it names itself. per_step: pictures of one step, more than 1 if wrappers
        repeat actions.

    Raises EnvironmentFault if it has no `rgb_array` rendering.
    """

    def __init__(self, source: EnvironmentSource):
        if not any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY")):
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # else pygame looks for a display, and says so
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")      # else it looks for a sound card, and says so
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        self.name = environment_name(source)
        self.environment: gymnasium.Env = make_environment(source, render_mode="rgb_array")
        fps = metadata_of(self.environment).get("render_fps")
        self.render_fps = UNTIMED
        if isinstance(fps, int | float | np.number) and LEAST_FPS <= fps <= GREATEST_FPS:
            self.render_fps = float(fps)
        self.per_step = steps_at_once(self.environment)
        self._recorder = None
        if self.per_step > 1:
            layer: Any = self.environment
            while steps_at_once(layer.env) > 1:  # down to the last wrapper that repeats
                layer = layer.env
            while steps_at_once(layer) == steps_at_once(layer.env):
                layer = layer.env
            layer.env = self._recorder = FrameRecorder(layer.env, self.environment)

    def pictures(self, t: int) -> list[np.ndarray]:
        """The `per_step` of the newest step, or the one of state 0. A step that ended early waits in its last one."""
        frames = self.forget()
        if t == 0 or self.per_step == 1 or not frames:
            return [self.frame()] * (self.per_step if t else 1)
        frames = [_checked(frame) for frame in frames[-self.per_step:]]
        return frames + frames[-1:] * (self.per_step - len(frames))

    def forget(self) -> list[Any]:
        """Gives up the pictures of the steps until now; returns them."""
        if self._recorder is None:
            return []
        frames, self._recorder.frames = self._recorder.frames, []
        return frames

    def frame(self) -> np.ndarray:
        """(H, W, 3) uint8 of where the environment stands."""
        with environment_guarded(self.name), warnings.catch_warnings():
            # pygame says this when the first frame imports it, and nobody who films can change it.
            warnings.filterwarnings("ignore", "pkg_resources is deprecated")
            return _checked(self.environment.render())

    def close(self) -> None:
        """Closes the environment."""
        close_environment(self.environment)


def _checked(picture: Any) -> np.ndarray:
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise EnvironmentFault("the environment's render() gives no (H, W, 3) uint8 picture; no video was written")
    return picture


class Reel(ABC):
    """`len(reel)` frames, (height, width, 3) uint8, each reused by the next, of `size` = (width, height).

    Each take has an overlay, `cell` = (width, height) large, of `columns` beside each other.
    """

    in_turn = True  # whether takes follow one another: several are then of one run's training

    def __init__(self, takes: Sequence[Take], spaces: Spaces, source: EnvironmentSource, style: Style):
        self.takes = takes
        self.source = source
        self.style = style
        with contextlib.closing(Camera(source)) as camera:
            with environment_guarded(camera.name):
                camera.environment.reset(seed=0)
            height, width, _ = camera.frame().shape
            self.per_step = camera.per_step
        self.columns = 1 if self.in_turn else 3 if len(takes) == 3 else 2
        together = [take.episode for take in takes]
        milestones = [(take.manifest.step, take.episode.total_return) for take in takes if len(takes) > 1]
        self.overlays = [
            Overlay(Scene(take.episode, spaces, take.caption, together, self.per_step / style.picture_fps,
                          milestones if self.in_turn else (), place),
                    (width, height), free_share(together), style.panels, style.width // self.columns,
                    style.width / UNSCALED)
            for place, take in enumerate(takes)]
        self.cell = self.overlays[0].size  # all have one
        rows = 1 if self.in_turn else math.ceil(len(takes) / self.columns)
        self.size = style.width, self.cell[1] * rows

    def shown(self, take: Take) -> list[int]:
        """The pictures of a take that have a frame; its last one always has."""
        seconds, last = self.style.seconds, take.episode.length * self.per_step
        if seconds is not None:
            last = min(last, max(1, round(seconds * self.style.picture_fps)))
        pictures = list(range(0, last + 1, self.style.stride))
        return pictures if pictures[-1] == last else [*pictures, last]

    def play(self, take: Take, overlay: Overlay) -> Iterator[np.ndarray]:
        """The take's frames, each with its panels."""
        shown = self.shown(take)
        due = set(shown)
        with contextlib.closing(Camera(self.source)) as camera:
            for t in replay(camera.environment, take.episode):
                numbers = range((t - 1) * self.per_step + 1, t * self.per_step + 1) if t else range(1)
                if due.isdisjoint(numbers):
                    camera.forget()
                else:
                    for number, picture in zip(numbers, camera.pictures(t), strict=True):
                        if number in due:
                            yield overlay(picture, t)
                if shown[-1] in numbers:
                    return

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def __iter__(self) -> Iterator[np.ndarray]:
        """The frames, (H, W, 3) uint8, in their order."""


class Sequel(Reel):
    """Takes one after the other: `evolution`, and with one take `episode`."""

    def __len__(self) -> int:
        return sum(len(self.shown(take)) for take in self.takes)

    def __iter__(self) -> Iterator[np.ndarray]:
        for take, overlay in zip(self.takes, self.overlays, strict=True):
            yield from self.play(take, overlay)


class SideBySide(Reel):
    """Takes at the same time, in two columns, or three if there are three."""

    in_turn = False

    def __len__(self) -> int:
        return max(len(self.shown(take)) for take in self.takes)

    def __iter__(self) -> Iterator[np.ndarray]:
        playing = list(map(self.play, self.takes, self.overlays))
        waiting = [False] * len(playing)
        frame = np.full((self.size[1], self.size[0], 3), BACKGROUND, np.uint8)
        for _ in range(len(self)):
            for i, frames in enumerate(playing):
                cell = next(frames, None)
                if cell is None and not waiting[i]:
                    waiting[i] = True
                    take, last = self.takes[i], self.shown(self.takes[i])[-1]
                    step = math.ceil(last / self.per_step)
                    how = "ended" if last == take.episode.length * self.per_step else "cut"
                    cell = self.overlays[i].ended(f"{how} at step {step:,}")
                if cell is not None:
                    left, top = i % self.columns * self.cell[0], i // self.columns * self.cell[1]
                    frame[top:top + self.cell[1], left:left + self.cell[0]] = cell
            yield frame


def pictures_per_second(camera: Camera, step_seconds: float | None) -> float:
    """In real time: by the seconds of a step if the environment's channels know them, else as the camera names them.

    Pendulum names 30 pictures a second, and a step is 0.05 s: in real time it has 20.
    """
    found = camera.per_step / step_seconds if step_seconds else 0.0
    return found if LEAST_FPS <= found <= GREATEST_FPS else camera.render_fps


def stride_and_fps(picture_fps: float, speed: float, suffix: str) -> tuple[int, float]:
    """Pictures from frame to frame, and frames a second, for a playback `speed` times as fast as the environment."""
    stride = max(1, math.ceil(picture_fps * speed / MOST_FPS[suffix] - 1e-9))
    return stride, max(picture_fps * speed / stride, LEAST_FPS)
