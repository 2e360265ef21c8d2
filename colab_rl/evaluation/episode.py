"""Telemetry: evaluation episodes, step by step, as named series in physical units.

    episode["hull_angle"]          (T + 1,) rad: row t is the state before step t, row T the final one
    episode["action_knee_1"]       (T,) what was done in step t
    episode["reward"]              (T,) float64; `reward_<part>` what it is made of, if that is known
    episode["value"]               (T + 1,) the value estimate of each state (see Algorithm.values)
    episode.poses[t]               (bodies, 3) x, y in m and angle in rad; with `outlines` and `terrain` a drawing

An .npz file holds one or more; `<number>/<series>` is a series of episode <number>. Nothing in it is executed.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from colab_rl.environments.channels import Channels, Shown
from colab_rl.environments.guard import environment_guarded
from colab_rl.environments.known.registry import shown_of
from colab_rl.environments.spaces import Spaces
from colab_rl.errors import UsageError

FORMAT = 1
LARGEST_EPISODE = 300_000  # bytes in a file; of a longer one the first part is kept
DESCRIPTION = "description.json"


@dataclass(frozen=True)
class Episode:
    """One deterministic episode of `length` = T steps.

    environment: its id. seed: of the episode. terminated: whether it ended of itself; else it was cut off.
    total_return: the sum of all rewards, in the order and to the last digit that `evaluate` gives for this seed.
    steps: how many it had; more than `length` only if a file holds its first part.
    series, units: by name; (T + 1,) for what a state has, (T,) for what a step has.
    outlines, poses, terrain: bodies by name, (K, 2) m each; (T + 1, bodies, 3); the ground's lines, (K, 2) m each.
        From a file poses are a little rounded, and their angles in [-pi, pi].
    shown: what views show of it, as its environment's channels have it.
    first_action: the number of the first choice of a discrete action.
    """

    environment: str
    seed: int
    terminated: bool
    total_return: float
    steps: int
    step_seconds: float | None
    series: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    outlines: Mapping[str, np.ndarray]
    poses: np.ndarray
    terrain: list[np.ndarray]
    shown: Shown = field(default_factory=Shown)
    first_action: int = 0

    def __getitem__(self, name: str) -> np.ndarray:
        return self.series[name]

    @property
    def length(self) -> int:
        """Steps recorded."""
        return len(self.series["reward"])

    @property
    def time(self) -> np.ndarray:
        """(T + 1,) seconds since the start, or step numbers if a step is no time."""
        return np.arange(self.length + 1) * (self.step_seconds or 1)

    @property
    def return_so_far(self) -> np.ndarray:
        """(T,) the return after each step, summed in their order as `evaluate` does."""
        return np.cumsum(self.series["reward"])

    @property
    def action_names(self) -> list[str]:
        """Names of the actions' series."""
        return [name for name in self.series if name.startswith("action_")]

    @property
    def actions(self) -> np.ndarray:
        """(T,) int64 choices, (T, K) of several, or (T, action_dim) float32, as the environment took them."""
        columns = [self.series[name] for name in self.action_names]
        if len(columns) == 1 and np.issubdtype(columns[0].dtype, np.integer):
            return columns[0]
        return np.stack(columns, 1)

    def discounted_return(self, gamma: float) -> np.ndarray:
        """(T,) rewards from each step on, discounted.

        The last state's value follows if the episode was cut off there, or only its first part is recorded.
        """
        ended = self.terminated and self.length == self.steps
        following = 0.0 if ended else float(np.nan_to_num(self.series["value"][-1]))
        result = np.empty(self.length)
        for t in range(self.length - 1, -1, -1):
            following = result[t] = self.series["reward"][t] + gamma * following
        return result


class Recording:
    """An episode while it runs: `state`, `step`, `state`, ..., `finish`."""

    def __init__(self, channels: Channels, spaces: Spaces, environment: str, seed: int):
        self.channels = channels
        self.spaces = spaces
        self.environment = environment
        self.seed = seed
        self._rows: list[np.ndarray] = []
        self._observations: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []
        self._rewards: list[float] = []

    @np.errstate(over="ignore")  # what no float32 holds is recorded as infinite
    def state(self, row: np.ndarray, observation: np.ndarray) -> None:
        """Notes a state: (channels.width,) its channels and poses, and the (*obs_shape,) observation."""
        self._rows.append(np.array(row, np.float32))
        self._observations.append(np.array(observation, self.spaces.observation.dtype))

    def step(self, action: np.ndarray, reward: float) -> None:
        """Notes the action taken in the state before, and its reward."""
        self._actions.append(np.array(action, self.spaces.action_dtype))
        self._rewards.append(float(reward))

    def finish(self, terminated: bool, values: Callable[[np.ndarray], np.ndarray],
               terrain: Sequence[np.ndarray]) -> Episode:
        """The episode; `values` gives (B,) value estimates for (B, *obs_shape) observations."""
        channels, length = self.channels, len(self._rewards)
        rows = np.stack(self._rows)
        count = len(channels.units)
        series: dict[str, np.ndarray] = dict(zip(channels.units, rows[:, :count].T, strict=True))
        units = dict(channels.units)
        actions = np.stack(self._actions).reshape(length, -1)
        names = channels.actions if len(channels.actions) == actions.shape[1] else map(str, range(actions.shape[1]))
        for name, column in zip(names, actions.T, strict=True):
            series[f"action_{name}"], units[f"action_{name}"] = column, channels.action_unit
        series["reward"] = np.array(self._rewards)
        with environment_guarded(self.environment):
            parts = {name: np.asarray(part, np.float32) for name, part in channels.reward_parts(series).items()}
        for name, part in parts.items():
            if part.shape != (length,):
                raise UsageError(f"reward_parts of {self.environment}: {name!r} has the shape {part.shape}, and "
                                 f"({length},) is needed, a number for each step")
            series[f"reward_{name}"] = part
        series["value"] = np.asarray(values(np.stack(self._observations)), np.float32)
        drawing = channels.drawing
        return Episode(self.environment, self.seed, bool(terminated), float(series["reward"].cumsum()[-1]), length,
                       channels.step_seconds, series, {name: units.get(name, "") for name in series},
                       dict(drawing.outlines) if drawing else {},
                       rows[:, count:].reshape(length + 1, channels.body_count, 3), list(terrain), channels.shown,
                       self.spaces.first_action)


@np.errstate(all="ignore")
def to_npz(episodes: Sequence[Episode]) -> bytes:
    """The episodes as an .npz file, at most `LARGEST_EPISODE` bytes each; equal episodes give equal bytes.

    One of which not even a step fits is left out; no bytes if none is left.
    """
    fitting = [part for part in map(_fitting, episodes) if part is not None]
    return _file_of(fitting) if fitting else b""


def _fitting(episode: Episode) -> tuple[Episode, int] | None:
    """What of an episode fits into a file: itself, without what leaves no room for steps, and its first steps.

    A vast terrain goes first, then channels and drawing, for each series costs some 240 bytes however short it is.
    None if nothing fits.
    """
    most = LARGEST_EPISODE - 5_000
    names = (*episode.action_names, "reward", "value")
    bare = replace(episode, series={name: episode[name] for name in names}, outlines={}, poses=episode.poses[:, :0],
                   units={name: episode.units[name] for name in names}, terrain=[])
    for part in (episode, replace(episode, terrain=[]), bare):
        length = part.length
        if len(_file_of([(part, 1)])) <= most / 2:
            while len(_file_of([(part, length)])) > most:
                length = length * 3 // 4
            return part, length
    return None


def _file_of(episodes: Sequence[tuple[Episode, int]]) -> bytes:
    """The first steps of each."""
    arrays: dict[str, np.ndarray] = {}
    for number, (episode, length) in enumerate(episodes):
        arrays |= {f"{number}/{name}": array for name, array in _arrays(episode, length).items()}
    text = json.dumps({"format": FORMAT, "episodes": [_description(episode) for episode, _ in episodes]}).encode()
    return _packed({**arrays, DESCRIPTION: np.frombuffer(text, np.uint8)})


@np.errstate(all="ignore")
def from_npz(data: bytes) -> list[Episode]:
    """The episodes of a file. Raises ValueError if it is none."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            content = json.loads(file[DESCRIPTION].tobytes())
            return [_episode(description, file, number)
                    for number, description in enumerate(content["episodes"])]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, EOFError, OSError, zipfile.BadZipFile,
            zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"not a telemetry file: {error}") from error


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _arrays(episode: Episode, length: int) -> dict[str, np.ndarray]:
    """Its first `length` steps by name: series, the drawing's poses and terrain.

    Actions and rewards are exact, other series within 8 millionths of themselves. The bodies' places relative
    to the first one are half floats: within 1/2048 of their distance from it in x and in y, 1 mm at 2 m and 40 mm at
    80 m, which is less than a pixel of a picture that shows both. Angles lose their whole turns: within 1 mrad.
    """
    exact = ("reward", *episode.action_names)
    arrays = {name: values if name in exact else _rounded(values) for name, values in episode.series.items()}
    arrays = {name: values[:length + len(values) - episode.length] for name, values in arrays.items()}
    if episode.outlines:
        # Time last: neighbours in time are alike, and compress.
        poses = episode.poses[:length + 1].transpose(1, 2, 0).copy()
        poses[1:, :2] -= poses[:1, :2]
        poses[:, 2] -= 2 * np.pi * np.rint(poses[:, 2] / (2 * np.pi))
        arrays["first_pose"] = _rounded(poses[0])
        arrays["other_poses"] = poses[1:].astype(np.float16)
    gap = np.full((1, 2), np.nan)  # between two lines of the terrain
    lines = [part for line in episode.terrain for part in (line, gap)]
    arrays["terrain"] = np.concatenate([*lines, np.zeros((0, 2))]).astype(np.float32)
    return arrays


def _rounded(values: np.ndarray) -> np.ndarray:
    """Float32 rounded to 17 significant bits: zeros in place of noise compress (Zender 2016, gmd-9-3199-2016)."""
    values = np.asarray(values, np.float32)
    bits = values.view(np.uint32)
    rounded = ((bits + 0x3F + ((bits >> 7) & 1)) & ~np.uint32(0x7F)).view(np.float32)
    return np.where(np.isfinite(values), rounded, values)


def _description(episode: Episode) -> dict[str, Any]:
    return {"environment": episode.environment, "seed": episode.seed, "terminated": episode.terminated,
            "return": episode.total_return, "steps": episode.steps, "step_seconds": episode.step_seconds,
            "units": dict(episode.units), "shown": asdict(episode.shown), "first_action": episode.first_action,
            "outlines": {name: np.asarray(outline).tolist() for name, outline in episode.outlines.items()}}


def _episode(description: Mapping[str, Any], file: Mapping[str, np.ndarray], number: int) -> Episode:
    series = {name: file[f"{number}/{name}"] for name in description["units"]}
    length = len(series["reward"])
    for name, values in series.items():
        if values.ndim != 1 or values.dtype.kind not in "biuf" or len(values) - length not in (0, 1):
            raise ValueError(f"series {name} has shape {values.shape} and type {values.dtype}")
    outlines = {name: np.array(outline, np.float64).reshape(-1, 2)
                for name, outline in description["outlines"].items()}
    poses = np.zeros((length + 1, 0, 3), np.float32)
    if outlines:
        first = file[f"{number}/first_pose"].astype(np.float32).reshape(1, 3, length + 1)
        others = file[f"{number}/other_poses"].astype(np.float32).reshape(len(outlines) - 1, 3, length + 1)
        others[:, :2] += first[:, :2]
        poses = np.concatenate([first, others]).transpose(2, 0, 1)
    points = file[f"{number}/terrain"].astype(np.float64).reshape(-1, 2)
    gaps = np.flatnonzero(np.isnan(points[:, 0]))
    terrain = [line[~np.isnan(line[:, 0])] for line in np.split(points, gaps) if len(line) > 1]
    seconds = description["step_seconds"]
    units = {str(name): str(unit) for name, unit in description["units"].items()}
    shown = description.get("shown")
    return Episode(str(description["environment"]), int(description["seed"]), bool(description["terminated"]),
                   float(description["return"]), int(description["steps"]), float(seconds) if seconds else None,
                   series, units, outlines, poses, terrain, shown_of(units) if shown is None else
                   Shown(**{part.name: shown[part.name] for part in fields(Shown) if part.name in shown}),
                   int(description.get("first_action", 0)))  # which older files lack, as `shown`
