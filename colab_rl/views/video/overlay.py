"""One episode's picture with its panels: strips above and below, over the parts of the picture that nothing needs.

    +--------------------------+
    | caption numbers traces   |  header: over the sky, where the subject never is
    +--------------------------+
    |        the picture       |
    +--------------------------+
    | actions, progress        |  footer: over the ground
    +--------------------------+

The picture gives way: if the subject would come under a strip, or may be anywhere, the strip stands
outside and the video is higher.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from PIL import Image

from colab_rl.errors import UsageError, nearest
from colab_rl.evaluation.episode import Episode
from colab_rl.views.video.drawing import draw_text, text_width
from colab_rl.views.video.panels import BACKGROUND, PANELS, TEXT, Panel, Scene

FOOTER = ("actions", "progress")
MARGIN = 0.02      # of the picture's height between the subject and a strip
LEAST_SEEN = 0.5   # of the picture's height
LEAST_SCALE = 3 / 4  # below it letters, which have their least size, would stand over each other
LEAST_SHAPE = 3 / 2  # width over height: a picture that is higher is fitted by its height


def parse_panels(overlay: str) -> tuple[str, ...]:
    """`all`, `none`, or names of panels with commas between. Raises UsageError for others."""
    if overlay in ("all", "none"):
        return tuple(PANELS) if overlay == "all" else ()
    names = [name.strip() for name in overlay.split(",") if name.strip()]
    for name in names:
        if name not in PANELS:
            raise UsageError(f"no panel {name!r}{nearest(name, PANELS)} (available: all, none, {', '.join(PANELS)})")
    return tuple(name for name in PANELS if name in names)


@np.errstate(all="ignore")
def free_share(episodes: Sequence[Episode]) -> tuple[float, float]:
    """The shares of the picture's height, from above and from below, where the subject never is; 0 if unknown."""
    high = episodes[0].shown.picture_height
    if not high or not all(episode.outlines for episode in episodes):
        return 0.0, 0.0
    tops, bottoms = [], []
    for episode in episodes:
        for body, outline in enumerate(episode.outlines.values()):
            _, y, angle = episode.poses[:, body].T[:, :, None]
            heights = y + np.sin(angle) * outline[:, 0] + np.cos(angle) * outline[:, 1]
            tops.append(heights.max())
            bottoms.append(heights.min())
    above, below = np.clip(np.nan_to_num([1 - max(tops) / high - MARGIN, min(bottoms) / high - MARGIN]), 0, 1)
    return float(above), float(below)


class Overlay:
    """Draws the frames of one episode, each `size` = (width, height) pixels, both even.

    picture: (width, height) of the environment's own frames.
    free: shares of its height that may be covered, see `free_share`.
    scale: of letters and panels; 1 suits a video that is 600 pixels wide. Less than 3/4 is taken as that: a narrow
        video has fewer panels, and is higher.
    """

    @np.errstate(all="ignore")
    def __init__(self, scene: Scene, picture: tuple[int, int], free: tuple[float, float],
                 panels: Collection[str], width: int, scale: float):
        scale = max(scale, LEAST_SCALE)
        made = {name: kind(scene, width, scale) for name, kind in PANELS.items() if name in panels}
        above = [panel for name, panel in made.items() if panel.height and name not in FOOTER]
        below = [panel for name, panel in made.items() if panel.height and name in FOOTER]
        header, footer = (sum(panel.height for panel in strip) for strip in (above, below))
        zoom = min(width / picture[0], width / LEAST_SHAPE / picture[1])
        self.picture = max(1, round(picture[0] * zoom)), max(1, round(picture[1] * zoom))
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
        self._canvas = np.full((self.size[1], width, 3), BACKGROUND, np.uint8)
        self._panels = [*self._placed(above, 0), *self._placed(below, header + visible)]

    def __call__(self, picture: np.ndarray, t: int) -> np.ndarray:
        """The frame of state `t`, (height, width, 3) uint8, from the environment's own; the next call reuses it."""
        if picture.shape[1::-1] != self.picture:
            picture = np.asarray(Image.fromarray(picture).resize(self.picture, Image.Resampling.BILINEAR))
        left, top, right, bottom = self.window
        self._canvas[top:bottom, left:right] = picture[self._seen]
        for panel, rows, still in self._panels:
            image = still.copy()
            panel.frame(image, t)
            self._canvas[rows] = np.asarray(image)
        return self._canvas

    def _placed(self, panels: Sequence[Panel], top: int) -> Iterator[tuple[Panel, slice, Image.Image]]:
        """Panels below each other from row `top` on: each with its rows, and an image of what does not change."""
        for panel in panels:
            still = Image.new("RGB", (panel.width, panel.height), BACKGROUND)
            panel.still(still)
            yield panel, slice(top, top + panel.height), still
            top += panel.height

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
