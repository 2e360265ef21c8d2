"""One episode's picture with its panels: strips above and below, over the parts of the picture that nothing needs.

    +--------------------------+
    | caption numbers traces   |  header: over the sky, where the subject never is
    +--------------------------+
    |        the picture       |
    +--------------------------+
    | actions, progress        |  footer: over the ground
    +--------------------------+

The picture gives way: where the subject would come under a strip, or where it may be anywhere, the strip stands
outside and the video is higher.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image

from colab_rl.errors import UsageError, nearest
from colab_rl.evaluation.episode import Episode
from colab_rl.views.video.drawing import draw_text, text_width
from colab_rl.views.video.panels import BACKGROUND, PANELS, TEXT, Panel, Scene

FOOTER = ("actions", "progress")
MARGIN = 0.02      # of the picture's height between the subject and a strip
LEAST_SEEN = 0.5   # of the picture's height
LEAST_SCALE = 3 / 4  # below it letters, which do not shrink any more, would stand over each other
WIDEST = 3 / 2     # a picture higher than this shape is fitted by its height
# Metres from the lower to the upper edge of a picture whose lower edge is y = 0, by the environment's name.
METRES_HIGH = {"BipedalWalker": 400 / 30, "BipedalWalkerHardcore": 400 / 30}


def parse_panels(overlay: str) -> tuple[str, ...]:
    """`all`, `none`, or names of panels with commas between. Raises UsageError for others."""
    if overlay in ("all", "none"):
        return tuple(PANELS) if overlay == "all" else ()
    names = [name.strip() for name in overlay.split(",") if name.strip()]
    for name in names:
        if name not in PANELS:
            raise UsageError(f"no panel {name!r}{nearest(name, PANELS)} (there is: all, none, {', '.join(PANELS)})")
    return tuple(name for name in PANELS if name in names)


def free_share(episodes: Sequence[Episode]) -> tuple[float, float]:
    """The shares of the picture's height, from above and from below, where the subject never is; 0 where unknown."""
    high = METRES_HIGH.get(episodes[0].environment.rpartition(":")[2].partition("-v")[0])
    if high is None or not all(episode.outlines for episode in episodes):
        return 0.0, 0.0
    tops, bottoms = [], []
    for episode in episodes:
        for body, outline in enumerate(episode.outlines.values()):
            _, y, angle = episode.poses[:, body].T[:, :, None]
            heights = y + np.sin(angle) * outline[:, 0] + np.cos(angle) * outline[:, 1]
            tops.append(heights.max())
            bottoms.append(heights.min())
    return max(0.0, 1 - max(tops) / high - MARGIN), max(0.0, min(bottoms) / high - MARGIN)


class Overlay:
    """Draws the frames of one episode, each `size` = (width, height) pixels, both even.

    picture: (width, height) of the environment's own frames.
    free: shares of its height that may be covered, see `free_share`.
    scale: of letters and panels; 1 suits a video that is 600 pixels wide. Less than 3/4 is taken as that: a narrow
        video has fewer panels, and is higher.
    """

    def __init__(self, scene: Scene, picture: tuple[int, int], free: tuple[float, float],
                 panels: Collection[str], width: int, scale: float):
        scale = max(scale, LEAST_SCALE)
        made = {name: kind(scene, width, scale) for name, kind in PANELS.items() if name in panels}
        above = [panel for name, panel in made.items() if name not in FOOTER]
        below = [panel for name, panel in made.items() if name in FOOTER]
        header = sum(panel.height for panel in above)
        footer = sum(panel.height for panel in below)
        zoom = min(width / picture[0], width / WIDEST / picture[1])
        self.picture = round(picture[0] * zoom), round(picture[1] * zoom)
        covered = [min(strip, int(share * self.picture[1]))
                   for strip, share in zip((header, footer), free, strict=True)]
        visible = self.picture[1] - sum(covered)
        missing = max(0, round(LEAST_SEEN * self.picture[1]) - visible)
        covered[0] -= min(missing, covered[0])
        visible = self.picture[1] - sum(covered)
        height = header + visible + footer
        self.size = width, height + height % 2
        self.scale = scale
        left = (width - self.picture[0]) // 2
        self.window = left, header, left + self.picture[0], header + visible  # of the frame: where the picture is seen
        self._seen = slice(covered[0], covered[0] + visible)                  # of the picture, in rows
        self._strips = [Strip(above, width, header, 0), Strip(below, width, footer, header + visible)]
        self._canvas = np.full((self.size[1], width, 3), BACKGROUND, np.uint8)

    def __call__(self, picture: np.ndarray, t: int) -> np.ndarray:
        """The frame of state `t`, (height, width, 3) uint8, from the environment's own; the next call reuses it."""
        if picture.shape[1::-1] != self.picture:
            picture = np.asarray(Image.fromarray(picture).resize(self.picture, Image.Resampling.BILINEAR))
        left, top, right, bottom = self.window
        self._canvas[top:bottom, left:right] = picture[self._seen]
        for strip in self._strips:
            strip.draw(self._canvas, t)
        return self._canvas

    def ended(self, words: str) -> np.ndarray:
        """The last frame as it stays after the episode's end: the picture dimmed, with words in its corner."""
        left, top, right, bottom = self.window
        seen = Image.fromarray(self._canvas[top:bottom, left:right])
        dimmed = Image.blend(seen, Image.new("RGB", seen.size, BACKGROUND), 0.45)
        size, pad = round(15 * self.scale), round(8 * self.scale)
        x, y = dimmed.width - 2 * pad, 2 * pad
        dimmed.paste(BACKGROUND, (x - text_width(words, size) - pad, y - pad, x + pad, y + size + pad))
        draw_text(dimmed, x, y, words, size, TEXT, "right")
        self._canvas[top:bottom, left:right] = np.asarray(dimmed)
        return self._canvas


class Strip:
    """Panels below each other, the first at row `top` of the frame."""

    def __init__(self, panels: Sequence[Panel], width: int, height: int, top: int):
        self.rows = slice(top, top + height)
        self._placed: list[tuple[Panel, int]] = []
        self._still = Image.new("RGB", (width, height), BACKGROUND)
        y = 0
        for panel in panels:
            panel.still(self._still, 0, y)
            self._placed.append((panel, y))
            y += panel.height

    def draw(self, canvas: np.ndarray, t: int) -> None:
        """Draws the panels of state `t` into their rows of (H, W, 3) uint8."""
        if self._placed:
            image = self._still.copy()
            for panel, y in self._placed:
                panel.frame(image, 0, y, t)
            canvas[self.rows] = np.asarray(image)
