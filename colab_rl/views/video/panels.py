"""The parts of the overlay: each turns an episode's arrays into pixels of a strip of the picture.

A panel draws what never changes once (`still`) and what changes at every frame (`frame`). Lengths are in units of the
scale: at scale 1 a video is 600 pixels wide, and its smallest letters are 12 pixels high, so that they can be read on a
phone at 480.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from colab_rl.environments.spaces import Spaces
from colab_rl.evaluation.episode import Episode
from colab_rl.views.palette import limb
from colab_rl.views.video import choices
from colab_rl.views.video.drawing import Color, curve, draw_box, draw_light, draw_text, polyline, shorten, text_width

BACKGROUND: Color = (15, 20, 32)
RAISED: Color = (34, 42, 60)       # boxes on it, and lights that are off
FAINT: Color = (72, 84, 108)       # zero lines
MUTED: Color = (158, 172, 198)     # labels
TEXT: Color = (243, 246, 251)
# The first and the second of two: red and a light blue of Paul Tol's "bright" scheme, as in the dashboards.
LIMBS: tuple[Color, Color] = (238, 102, 119), (102, 204, 238)
SINGLE: Color = (94, 211, 160)     # a series that belongs to neither
SMALL, MIDDLE, LARGE = 12, 13, 19  # letters
LEAST = 11                         # pixels, whatever the scale
WINDOW = 4.0                       # seconds of a trace


class Scene(NamedTuple):
    """What panels draw from.

    caption: the run, which checkpoint of it, after how much training, and its score.
    together: the episodes that are shown in one video, which share their axes.
    frame_seconds: time between two steps as the environment has it, in s.
    milestones: steps of training and return of each take of an evolution, of which the present one is number `place`.
    """

    episode: Episode
    spaces: Spaces
    caption: tuple[str, str, str, str]
    together: Sequence[Episode]
    frame_seconds: float
    milestones: Sequence[tuple[int, float]] = ()
    place: int = 0


class Panel(ABC):
    """A strip `width` pixels wide and `height` pixels high, drawn at (x, y) of an image."""

    units = 0  # height at scale 1

    def __init__(self, scene: Scene, width: int, scale: float):
        self.scene = scene
        self.width = width
        self.scale = scale
        self.height = self.px(self.units)
        self.pad = self.px(8)
        self.small = max(LEAST, self.px(SMALL))
        self.middle = max(LEAST, self.px(MIDDLE))
        self.large = self.px(LARGE)

    def px(self, units: float) -> int:
        """Units as whole pixels."""
        return max(1, round(units * self.scale))

    @abstractmethod
    def still(self, image: Image.Image, x: int, y: int) -> None:
        """Draws what does not change."""

    @abstractmethod
    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """Draws state `t` of 0 ... T: after t steps, with the action that is about to be taken."""


class Caption(Panel):
    """Run, checkpoint and steps on the left, the score on the right; on two lines where there is little room."""

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        self.lines = 1 if width >= 400 * scale else 2
        self.height = self.px(5 + 17 * self.lines)

    def still(self, image: Image.Image, x: int, y: int) -> None:
        """See Panel."""
        size, last = self.middle, y + self.px(7 + 17 * (self.lines - 1))
        run, checkpoint, when, score = self.scene.caption
        wide = self.width - 2 * self.pad
        room = wide - (text_width(score, size) + self.pad if score else 0)
        draw_text(image, x + self.width - self.pad, last, score, size, SINGLE, "right")
        if self.lines == 2:
            draw_text(image, x + self.pad, y + self.px(7), self._named(run, f" · {checkpoint}", wide), size, TEXT)
            draw_text(image, x + self.pad, last, shorten(when, size, room), size, MUTED)
        else:
            draw_text(image, x + self.pad, last, self._named(run, f" · {checkpoint} · {when}", room), size, TEXT)

    def _named(self, run: str, end: str, room: int) -> str:
        """The run's name and what follows, in `room` pixels: the name gives way, and never which checkpoint it is."""
        return shorten(run, self.middle, room - text_width(end, self.middle)) + end

    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """See Panel: nothing changes."""


class Numbers(Panel):
    """Return, a velocity, time, step, reward: as many as there is room for."""

    units = 44

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        episode = scene.episode
        numbers = [("return", "{:.2f}", np.r_[0.0, episode.return_so_far])]
        if found := choices.speed(episode):
            name, unit = found
            numbers.append((f"{choices.words_of(name)} {unit}", "{:.2f}", episode[name]))
        if episode.step_seconds:
            numbers.append(("time s", "{:.2f}", episode.time))
        numbers.append(("step", "{}", np.arange(episode.length + 1)))
        numbers.append(("reward", "{:+.2f}", np.r_[0.0, episode["reward"]]))
        self.numbers = numbers[:max(1, width // self.px(92))]

    def still(self, image: Image.Image, x: int, y: int) -> None:
        """See Panel."""
        for left, (label, *_) in zip(self._columns(x), self.numbers, strict=True):
            room = self.width // len(self.numbers) - self.pad
            draw_text(image, left, y + self.px(6), shorten(label, self.small, room), self.small, MUTED)

    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """See Panel."""
        for left, (_, form, values) in zip(self._columns(x), self.numbers, strict=True):
            draw_text(image, left, y + self.px(22), form.format(values[t]), self.large, TEXT)

    def _columns(self, x: int) -> list[int]:
        share = (self.width - self.pad) / len(self.numbers)
        return [round(x + self.pad + i * share) for i in range(len(self.numbers))]


class Traces(Panel):
    """The last seconds of joint angles or other channels, and of the value estimate, as lines."""

    units = 62

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        groups = choices.traces(scene.episode)
        self.groups = groups[:max(1, width // self.px(180))]
        self.share = (width - self.pad) / max(1, len(self.groups))
        self.plot = round(self.share) - self.pad, self.height - self.px(24)
        self.pixels = max(1, round(self.plot[0] * scene.frame_seconds / WINDOW))
        self.ranges = [group.range([episode for episode in scene.together
                                    if set(group.series) <= set(episode.series)]) for group in self.groups]
        self.lines = [[(name, self._color(group, name), self._curve(name, limits)) for name in group.series]
                      for group, limits in zip(self.groups, self.ranges, strict=True)]

    def still(self, image: Image.Image, x: int, y: int) -> None:
        """See Panel."""
        for left, group, (low, high) in zip(self._columns(x), self.groups, self.ranges, strict=True):
            room = self.plot[0] - self.px(42) * len(group.series) - self.px(4)
            title = f"{group.title} {group.unit}".strip()
            title = title if text_width(title, self.small) <= room else shorten(group.title, self.small, room)
            draw_text(image, left, y + self.px(4), title, self.small, MUTED)
            draw_box(image, left, y + self.px(20), *self.plot, RAISED)
            if low < 0 < high:
                zero = y + self.px(20) + self.plot[1] * high / (high - low)
                draw_box(image, left, zero, self.plot[0], 1, FAINT)

    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """See Panel."""
        radius = self.px(2.5)
        for left, lines, (low, high) in zip(self._columns(x), self.lines, self.ranges, strict=True):
            at = left + self.plot[0]
            for name, color, _ in reversed(lines):
                value = float(self.scene.episode[name][t])
                draw_text(image, at, y + self.px(4), f"{value:.2f}", self.small, color, "right")
                at -= self.px(42)
            room = self.plot[0] - radius
            for name, color, line in lines:
                end = (t + 1) * self.pixels
                first = max(0, end - room)
                piece = line.crop((first, 0, end, line.height))
                right = left + room
                image.paste(color, (right - piece.width, y + self.px(20), right, y + self.px(20) + line.height), piece)
                value = float(self.scene.episode[name][t])
                if np.isfinite(value):
                    height = (self.plot[1] - 2 * radius) * (high - value) / (high - low)
                    draw_light(image, right - radius, y + self.px(20) + round(height), 2 * radius, color)

    def _columns(self, x: int) -> list[int]:
        return [round(x + self.pad + i * self.share) for i in range(len(self.groups))]

    def _curve(self, name: str, limits: tuple[float, float]) -> Image.Image:
        return curve(self.scene.episode[name], *limits, self.plot[1], self.pixels, 1.8 * self.scale)

    @staticmethod
    def _color(group: choices.Group, name: str) -> Color:
        return SINGLE if len(group.series) == 1 else LIMBS[list(group.series).index(name)]


class Actions(Panel):
    """The action as bars from the middle, positive to the right, or as a row of choices; and lights for contacts."""

    units = 42

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        self.actions = choices.actions(scene.episode, scene.spaces)
        self.contacts = choices.contacts(scene.episode)
        self.light = self.px(14)
        room = width - self.pad
        self.lights_at = width - len(self.contacts) * self.px(26) - self.px(34) if self.contacts else width
        self.share = (min(room, self.lights_at) - self.pad) / len(self.actions)
        self.bar = round(self.share) - self.pad, self.px(10)

    def still(self, image: Image.Image, x: int, y: int) -> None:
        """See Panel."""
        size = self.small
        for i, action in enumerate(self.actions):
            if action.choice is None:
                left, (width, height) = self._column(x, i), self.bar
                draw_text(image, left, y + self.px(6), self._label(action, width), size, MUTED)
                draw_box(image, left, y + self.px(24), width, height, RAISED)
                draw_box(image, left + self._zero(action), y + self.px(22), 1, height + self.px(4), MUTED)
        if self.contacts:
            draw_text(image, x + self.width - self.pad, y + self.px(6), "contact", size, MUTED, "right")

    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """See Panel."""
        step = min(t, self.scene.episode.length - 1)
        for i, action in enumerate(self.actions):
            left, (width, height), value = self._column(x, i), self.bar, self.scene.episode[action.series][step]
            if action.choice is None:
                zero = self._zero(action)
                end = width * np.clip((float(value) - action.low) / (action.high - action.low), 0, 1)
                color = LIMBS[limb(action.label) or 0] if len(self.actions) > 1 else SINGLE
                draw_box(image, left + min(zero, end), y + self.px(24), abs(end - zero), height, color)
                text = f"{float(value):+.2f}"
                if text_width(self._label(action, width), self.small) + self.px(46) <= width:
                    draw_text(image, left + width, y + self.px(6), text, self.small, color, "right")
            else:
                taken = value == action.choice
                draw_box(image, left, y + self.px(8), width, self.px(26), SINGLE if taken else RAISED)
                draw_text(image, left + width / 2, y + self.px(16), shorten(action.label, self.middle, width),
                          self.middle, BACKGROUND if taken else MUTED, "center")
        for i, name in enumerate(self.contacts):
            on = self.scene.episode[name][t] > 0.5
            left = x + self.width - self.pad - (len(self.contacts) - i) * self.px(26) + self.px(8)
            draw_light(image, left, y + self.px(22), self.light, LIMBS[limb(name) or 0] if on else RAISED)

    def _column(self, x: int, i: int) -> int:
        return round(x + self.pad + i * self.share)

    def _label(self, action: choices.Action, width: int) -> str:
        """The action's name, with its unit where there is room; its words' first letters where not: `hip 1` is `h1`."""
        whole = f"{action.label} {action.unit}".strip()
        if text_width(whole, self.small) <= width - self.px(46):  # beside the number
            return whole
        fits = text_width(action.label, self.small) <= width
        return action.label if fits else shorten("".join(word[0] for word in action.label.split()), self.small, width)

    def _zero(self, action: choices.Action) -> float:
        return self.bar[0] * float(np.clip(-action.low / (action.high - action.low), 0, 1))


class Progress(Panel):
    """The returns of an evolution's episodes over the steps of training, with the present one marked; else nothing."""

    units = 46

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        if not scene.milestones:
            self.height = 0
            return
        steps, returns = np.array(scene.milestones, np.float64).T
        self.radius = self.px(3)
        self.plot = width - 2 * self.pad, self.height - self.px(22)
        inner = np.array(self.plot) - 2 * self.radius - self.px(2)
        spread = max(float(np.ptp(returns)), 1e-9)
        self.x = self.radius + self.px(1) + inner[0] * steps / max(steps.max(), 1)
        self.y = self.radius + self.px(1) + inner[1] * (returns.max() - returns) / spread

    def still(self, image: Image.Image, x: int, y: int) -> None:
        """See Panel."""
        if not self.height:
            return
        _, achieved = self.scene.milestones[self.scene.place]
        draw_text(image, x + self.pad, y + self.px(6), "return of this seed by steps of training", self.small, MUTED)
        draw_text(image, x + self.width - self.pad, y + self.px(6), f"{achieved:.2f}", self.small, SINGLE, "right")
        left, top = x + self.pad, y + self.px(20)
        draw_box(image, left, top, *self.plot, RAISED)
        line = polyline(self.x, self.y, self.plot, 1.8 * self.scale)
        image.paste(FAINT, (left, top, left + line.width, top + line.height), line)
        for i, (at, height) in enumerate(zip(self.x, self.y, strict=True)):
            draw_light(image, left + round(at) - self.radius, top + round(height) - self.radius, 2 * self.radius,
                       SINGLE if i == self.scene.place else MUTED)

    def frame(self, image: Image.Image, x: int, y: int, t: int) -> None:
        """See Panel: nothing changes."""


# Above the picture, and below it.
PANELS: dict[str, type[Panel]] = {"caption": Caption, "numbers": Numbers, "traces": Traces, "actions": Actions,
                                "progress": Progress}
