"""The parts of the overlay: each turns an episode's arrays into a strip of pixels.

A panel draws what never changes once (`still`) and what changes at every frame (`frame`), each time on an image of its
own size. Lengths are in units of the scale: at scale 1 a video is 600 pixels wide, and its smallest letters are 12
pixels high, so that they can be read on a phone at 480.
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
from colab_rl.views.values import text_of, value_range, words_of
from colab_rl.views.video import choices
from colab_rl.views.video.drawing import Color, curve, draw_box, draw_light, draw_text, polyline, shorten, text_width

BACKGROUND: Color = (15, 20, 32)
RAISED: Color = (34, 42, 60)       # boxes on it, and lights that are off
FAINT: Color = (72, 84, 108)       # zero lines
MUTED: Color = (158, 172, 198)     # labels
TEXT: Color = (243, 246, 251)
# The first and the second of two: red and a light blue of Paul Tol's "bright" scheme, as in the dashboards.
LIMB_COLORS: tuple[Color, Color] = (238, 102, 119), (102, 204, 238)
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
    """A strip `width` pixels wide and `height` pixels high. What stands side by side in it is `share` pixels apart."""

    units = 0  # height at scale 1

    def __init__(self, scene: Scene, width: int, scale: float):
        self.scene = scene
        self.width = width
        self.scale = scale
        self.height = self.px(self.units)
        self.pad = self.px(8)
        self.share = 0.0
        self.small = max(LEAST, self.px(SMALL))
        self.middle = max(LEAST, self.px(MIDDLE))
        self.large = self.px(LARGE)

    def px(self, units: float) -> int:
        """Units as whole pixels."""
        return max(1, round(units * self.scale))

    def left(self, i: int) -> int:
        """Where the part number `i` begins."""
        return round(self.pad + i * self.share)

    @abstractmethod
    def still(self, image: Image.Image) -> None:
        """Draws what does not change."""

    def frame(self, image: Image.Image, t: int) -> None:  # noqa: B027
        """Draws state `t` of 0 ... T: after t steps, with the action that is about to be taken."""


class Caption(Panel):
    """Run, checkpoint and steps on the left, the score on the right; on two lines if there is little room."""

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        self.lines = 1 if width >= 400 * scale else 2
        self.height = self.px(5 + 17 * self.lines)

    def still(self, image: Image.Image) -> None:
        """See Panel."""
        size, last = self.middle, self.px(7 + 17 * (self.lines - 1))
        run, checkpoint, when, score = self.scene.caption
        wide = self.width - 2 * self.pad
        room = wide - (text_width(score, size) + self.pad if score else 0)
        draw_text(image, self.width - self.pad, last, score, size, SINGLE, "right")
        if self.lines == 2:
            draw_text(image, self.pad, self.px(7), self._named(run, f" · {checkpoint}", wide), size, TEXT)
            draw_text(image, self.pad, last, shorten(when, size, room), size, MUTED)
        else:
            draw_text(image, self.pad, last, self._named(run, f" · {checkpoint} · {when}", room), size, TEXT)

    def _named(self, run: str, end: str, room: int) -> str:
        """The run's name and what follows, in `room` pixels: the name gives way, and never which checkpoint it is."""
        return shorten(run, self.middle, room - text_width(end, self.middle)) + end


class Numbers(Panel):
    """Return, a velocity, time, step, reward: as many as there is room for."""

    units = 44

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        episode = scene.episode
        # By label: decimals, flags (see `text_of`), and the number of every state.
        numbers: dict[str, tuple[int, str, np.ndarray]] = {"return": (2, "", np.r_[0.0, episode.return_so_far])}
        if found := choices.speed_channel(episode):
            name, unit = found
            numbers[f"{words_of(name)} ({unit})"] = 2, "", episode[name]
        if episode.step_seconds:
            numbers["time (s)"] = 2, "", episode.time
        numbers["step"] = 0, "", np.arange(episode.length + 1)
        numbers["reward"] = 2, "+", np.r_[0.0, episode["reward"]]
        self.numbers = dict(list(numbers.items())[:max(1, width // self.px(92))])
        self.share = (width - self.pad) / len(self.numbers)

    def still(self, image: Image.Image) -> None:
        """See Panel."""
        for i, label in enumerate(self.numbers):
            room = self.width // len(self.numbers) - self.pad
            draw_text(image, self.left(i), self.px(6), shorten(label, self.small, room), self.small, MUTED)

    def frame(self, image: Image.Image, t: int) -> None:
        """See Panel."""
        for i, (decimals, flags, values) in enumerate(self.numbers.values()):
            draw_text(image, self.left(i), self.px(22), text_of(values[t], decimals, 8, flags), self.large, TEXT)


class Traces(Panel):
    """The last seconds of joint angles or other channels, and of the value estimate, as lines."""

    units = 62

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        self.groups = choices.traces(scene.episode)[:max(1, width // self.px(180))]
        self.share = (width - self.pad) / max(1, len(self.groups))
        self.top = self.px(20)
        self.plot = round(self.share) - self.pad, self.height - self.px(24)
        self.pixels = max(1, round(self.plot[0] * scene.frame_seconds / WINDOW))  # of a step
        self.ranges = [group.range([episode for episode in scene.together if set(group.series) <= set(episode.series)])
                       for group in self.groups]
        # Of each group its series: their numbers, colours and curves.
        self.lines = [[(scene.episode[name], color, curve(scene.episode[name], *limits, self.plot[1], self.pixels,
                                                          1.8 * scale))
                       for name, color in zip(group.series, LIMB_COLORS if len(group.series) > 1 else [SINGLE],
                                              strict=False)]
                      for group, limits in zip(self.groups, self.ranges, strict=True)]
        texts = {self._text(value) for lines in self.lines for values, _, _ in lines for value in values}
        self.number = max([self.px(42), *(text_width(text, self.small) + self.px(4) for text in texts)])

    def still(self, image: Image.Image) -> None:
        """See Panel."""
        for i, (group, (low, high)) in enumerate(zip(self.groups, self.ranges, strict=True)):
            room = self.plot[0] - self.number * len(group.series) - self.px(4)
            named = f"{group.title} ({group.unit})" if group.unit else group.title
            titles = [named] if i else [f"{named}, last {WINDOW:g} s", named]
            title = next((one for one in titles if text_width(one, self.small) <= room), "")
            draw_text(image, self.left(i), self.px(4), title or shorten(group.title, self.small, room), self.small,
                      MUTED)
            draw_box(image, self.left(i), self.top, *self.plot, RAISED)
            if low < 0 < high:
                draw_box(image, self.left(i), self.top + self.plot[1] * high / (high - low), self.plot[0], 1, FAINT)

    def frame(self, image: Image.Image, t: int) -> None:
        """See Panel."""
        radius, (width, height) = self.px(2.5), self.plot
        for i, (lines, (low, high)) in enumerate(zip(self.lines, self.ranges, strict=True)):
            for k, (values, color, _) in enumerate(reversed(lines)):
                draw_text(image, self.left(i) + width - k * self.number, self.px(4), self._text(values[t]), self.small,
                          color, "right")
            right, end = self.left(i) + width - radius, (t + 1) * self.pixels
            for values, color, line in lines:
                piece = line.crop((max(0, end - width + radius), 0, end, line.height))
                image.paste(color, (right - piece.width, self.top, right, self.top + line.height), piece)
                if np.isfinite(values[t]):
                    share = min(max((high - float(values[t])) / (high - low), 0.0), 1.0)
                    draw_light(image, right - radius, self.top + round((height - 2 * radius) * share), 2 * radius,
                               color)

    @staticmethod
    def _text(value: float) -> str:
        return text_of(float(value), 2, 7)


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

    def still(self, image: Image.Image) -> None:
        """See Panel."""
        width, height = self.bar
        for i, action in enumerate(self.actions):
            if action.choice is None:
                draw_text(image, self.left(i), self.px(6), self._label(action, width), self.small, MUTED)
                draw_box(image, self.left(i), self.px(24), width, height, RAISED)
                draw_box(image, self.left(i) + self._along(action, 0.0), self.px(22), 1, height + self.px(4), MUTED)
        if self.contacts:
            draw_text(image, self.width - self.pad, self.px(6), "contact", self.small, MUTED, "right")

    def frame(self, image: Image.Image, t: int) -> None:
        """See Panel."""
        step, (width, height) = min(t, self.scene.episode.length - 1), self.bar
        for i, action in enumerate(self.actions):
            left, value = self.left(i), self.scene.episode[action.series][step]
            if action.choice is None:
                zero, end = self._along(action, 0.0), self._along(action, float(value))
                color = LIMB_COLORS[limb(action.label) or 0] if len(self.actions) > 1 else SINGLE
                draw_box(image, left + min(zero, end), self.px(24), abs(end - zero), height, color)
                if text_width(self._label(action, width), self.small) + self.px(46) <= width:
                    draw_text(image, left + width, self.px(6), text_of(float(value), 2, 6, "+"), self.small, color,
                              "right")
            else:
                taken = value == action.choice
                draw_box(image, left, self.px(8), width, self.px(26), SINGLE if taken else RAISED)
                draw_text(image, left + width / 2, self.px(16), shorten(action.label, self.middle, width),
                          self.middle, BACKGROUND if taken else MUTED, "center")
        for i, name in enumerate(self.contacts):
            on = self.scene.episode[name][t] > 0.5
            left = self.width - self.pad - (len(self.contacts) - i) * self.px(26) + self.px(8)
            draw_light(image, left, self.px(22), self.light, LIMB_COLORS[limb(name) or 0] if on else RAISED)

    def _label(self, action: choices.Action, width: int) -> str:
        """The action's name, with its unit if there is room; its words' first letters if not: `hip 1` is `h1`."""
        whole = f"{action.label} {action.unit}".strip()
        if text_width(whole, self.small) <= width - self.px(46):  # beside the number
            return whole
        fits = text_width(action.label, self.small) <= width
        return action.label if fits else shorten("".join(word[0] for word in action.label.split()), self.small, width)

    def _along(self, action: choices.Action, value: float) -> float:
        """Pixels from the left end of its bar to a value, which is taken as 0 if it is NaN."""
        share = ((0.0 if np.isnan(value) else value) - action.low) / (action.high - action.low)
        return self.bar[0] * min(max(share, 0.0), 1.0)


class ReturnsSoFar(Panel):
    """The returns of an evolution's episodes over the steps of training, with the present one marked; else nothing."""

    units = 46

    def __init__(self, scene: Scene, width: int, scale: float):
        super().__init__(scene, width, scale)
        if not scene.milestones:
            self.height = 0
            return
        steps, returns = np.array(scene.milestones, np.float64).T
        low, high = value_range(returns, 0)
        self.radius = self.px(3)
        self.plot = width - 2 * self.pad, self.height - self.px(22)
        inner = np.array(self.plot) - 2 * self.radius - self.px(2)
        self.x = self.radius + self.px(1) + inner[0] * steps / max(steps.max(), 1)
        self.y = self.radius + self.px(1) + inner[1] * (high - returns.clip(low, high)) / (high - low)

    def still(self, image: Image.Image) -> None:
        """See Panel."""
        achieved, top = text_of(self.scene.milestones[self.scene.place][1], 2), self.px(20)
        words = shorten("return of this seed by steps of training", self.small,
                        self.plot[0] - text_width(achieved, self.small) - self.pad)
        draw_text(image, self.pad, self.px(6), words, self.small, MUTED)
        draw_text(image, self.width - self.pad, self.px(6), achieved, self.small, SINGLE, "right")
        draw_box(image, self.pad, top, *self.plot, RAISED)
        line = polyline(self.x, self.y, self.plot, 1.8 * self.scale)
        image.paste(FAINT, (self.pad, top, self.pad + line.width, top + line.height), line)
        for i in np.flatnonzero(np.isfinite(self.y)):
            draw_light(image, self.pad + round(self.x[i]) - self.radius, top + round(self.y[i]) - self.radius,
                       2 * self.radius, SINGLE if i == self.scene.place else MUTED)


# Above the picture, and below it.
PANELS: dict[str, type[Panel]] = {"caption": Caption, "numbers": Numbers, "traces": Traces, "actions": Actions,
                                "progress": ReturnsSoFar}
