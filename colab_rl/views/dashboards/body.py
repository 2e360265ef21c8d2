"""The body of an episode, drawn from its recorded poses over its terrain, seen from a camera that follows it."""

from __future__ import annotations

from typing import Any

import numpy as np

from colab_rl.evaluation.episode import Episode
from colab_rl.views.palette import BLUE, GREY, RED

REACH = 11.0         # m of terrain to each side of the camera
CAMERA_SECONDS = 1.5  # over which the camera's height is averaged


class Stage:
    """Where an episode's bodies are at a step, in m from the camera.

    label: of the episode. has_body: whether the episode has poses to draw.
    color: of all bodies; by leg if not given. has_ground: whether its terrain is drawn.
    """

    def __init__(self, label: str, episode: Episode, color: str | None = None, has_ground: bool = True):
        self.label = label
        self.has_ground = has_ground
        self.episode = episode
        self.has_body = bool(episode.outlines) and episode.poses.shape[1] == len(episode.outlines)
        if not self.has_body:
            return
        groups: dict[str, list[int]] = {"1": [], "": [], "2": []}  # the far leg first, the near one over all
        for number, name in enumerate(episode.outlines):
            groups[name[-1] if name[-2:] in ("_1", "_2") else ""].append(number)
        self.groups = {end: members for end, members in groups.items() if members}
        self.colors = {end: color or {"1": RED, "": GREY, "2": BLUE}[end] for end in self.groups}
        self.camera = self._camera()

    def traces(self, t: int) -> list[dict[str, Any]]:
        """Plotly traces: the terrain, then the bodies of each group, at step t."""
        look: dict[str, Any] = {"type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False,
                                "xaxis": "x", "yaxis": "y", "legendgroup": self.label}
        looks: list[dict[str, Any]] = [{"line": {"color": GREY, "width": 1.5}}] if self.has_ground else []
        looks += [{"fill": "toself", "line": {"color": color, "width": 2}} for color in self.colors.values()]
        return [{**look, **own, **moved} for own, moved in zip(looks, self.moved(t), strict=True)]

    def moved(self, t: int) -> list[dict[str, Any]]:
        """The x and y of the same traces at another step; the last state after the episode's end."""
        t = min(t, self.episode.length)
        camera = self.camera[t]
        ground = [self._lines(self.episode.terrain, camera, clip=True)] if self.has_ground else []
        return [*ground, *(self._lines([self._outline(body, t) for body in members], camera)
                  for members in self.groups.values())]

    def _outline(self, body: int, t: int) -> np.ndarray:
        """(K + 1, 2) a body's closed outline in the world."""
        x, y, angle = self.episode.poses[t, body].astype(float)
        outline = list(self.episode.outlines.values())[body]
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        placed = outline @ turn + (x, y)
        return np.vstack([placed, placed[:1]])

    def _lines(self, lines: list[np.ndarray], camera: np.ndarray, clip: bool = False) -> dict[str, Any]:
        xs: list[float | None] = []
        ys: list[float | None] = []
        for line in lines:
            seen = np.asarray(line, float) - camera
            if clip:
                near = np.flatnonzero(np.abs(seen[:, 0]) < REACH)
                seen = seen[near[0]:near[-1] + 1] if len(near) else seen[:0]
            if len(seen):
                xs += [*np.round(seen[:, 0], 2).tolist(), None]
                ys += [*np.round(seen[:, 1], 2).tolist(), None]
        return {"x": xs[:-1], "y": ys[:-1]}

    def _camera(self) -> np.ndarray:
        """(T + 1, 2) the first body's place, its height averaged over time."""
        place = self.episode.poses[:, 0, :2].astype(float)
        steps = CAMERA_SECONDS / (self.episode.step_seconds or CAMERA_SECONDS / 50)
        window = max(1, round(min(steps, self.episode.length)))
        padded = np.pad(place[:, 1], (window // 2, window - 1 - window // 2), mode="edge")
        height = np.convolve(padded, np.full(window, 1 / window), mode="valid")
        return np.column_stack([place[:, 0], height])
