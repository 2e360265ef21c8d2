"""One episode's picture with its panels: strips above and below, over the parts of the picture that nothing needs.

    +--------------------------+
    | caption numbers traces   |  header: over the sky, where the subject never is
    +--------------------------+
    |        the picture       |
    +--------------------------+
    | actions, contacts        |  footer: over the ground
    +--------------------------+

The picture gives way: where the subject comes under a strip, or where it may be anywhere, the strips stand outside.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PIL import Image, ImageChops

from colab_rl.errors import UsageError, nearest
from colab_rl.telemetry import Episode
from colab_rl.views.drawing import draw_text, text_width
from colab_rl.views.panels import BACKGROUND, PANELS, TEXT, Panel, Scene

FOOTER = ("actions",)
OPACITY = 232      # of 255, of a strip over the picture
MARGIN = 0.02      # of the picture's height between the subject and a strip
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
            x, y, angle = episode.poses[:, body].T[:, :, None]
            heights = y + np.sin(angle) * outline[:, 0] + np.cos(angle) * outline[:, 1]
            tops.append(heights.max())
            bottoms.append(heights.min())
    return max(0.0, 1 - max(tops) / high - MARGIN), max(0.0, min(bottoms) / high - MARGIN)


class Overlay:
    """Draws the frames of one episode, each `size` = (width, height) pixels, both even.

    picture: (width, height) of the environment's own frames.
    free: shares of its height that may be covered, see `free_share`.
    scale: of letters and panels; 1 suits a video that is 600 pixels wide.
    """

    def __init__(self, scene: Scene, picture: tuple[int, int], free: tuple[float, float],
                 panels: Collection[str], width: int, scale: float):
        made = {name: kind(scene, width, scale) for name, kind in PANELS.items() if name in panels}
        above = [panel for name, panel in made.items() if name not in FOOTER]
        below = [panel for name, panel in made.items() if name in FOOTER]
        header = sum(panel.height for panel in above)
        footer = sum(panel.height for panel in below)
        zoom = min(width / picture[0], width / WIDEST / picture[1])
        self.picture = round(picture[0] * zoom), round(picture[1] * zoom)
        covered = [min(strip, int(share * self.picture[1])) for strip, share in zip((header, footer), free, strict=True)]
        self.corner = (width - self.picture[0]) // 2, header - covered[0]
        height = self.corner[1] + self.picture[1] - covered[1] + footer
        self.size = width, height + height % 2
        self.scale = scale
        self.subject = header, height - footer  # rows that no panel touches
        self._placed: list[tuple[Panel, int]] = []
        for panels_here, y in ((above, 0), (below, height - footer)):
            for panel in panels_here:
                self._placed.append((panel, y))
                y += panel.height
        self._strips = [self._strip(top, bottom) for top, bottom in ((0, header), (height - footer, height))
                        if bottom > top]

    def __call__(self, picture: np.ndarray, t: int) -> Image.Image:
        """The frame of state `t`: (H, W, 3) uint8 of the environment, and everything about it."""
        image = Image.new("RGB", self.size, BACKGROUND)
        frame = Image.fromarray(np.ascontiguousarray(picture))
        image.paste(frame if frame.size == self.picture else frame.resize(self.picture, Image.Resampling.BILINEAR),
                    self.corner)
        for still, mask, y in self._strips:
            image.paste(still, (0, y), mask)
        for panel, y in self._placed:
            panel.frame(image, 0, y, t)
        return image

    def ended(self, frame: Image.Image, words: str) -> Image.Image:
        """A frame as it stays after the episode's end: the picture dimmed, with words in it."""
        box = (0, self.subject[0], self.size[0], self.subject[1])
        dimmed = Image.blend(frame.crop(box), Image.new("RGB", (box[2], box[3] - box[1]), BACKGROUND), 0.45)
        size = round(15 * self.scale)
        x, y = self.size[0] // 2, (box[3] - box[1]) // 2 - size
        pad = round(8 * self.scale)
        width = text_width(words, size) + 2 * pad
        dimmed.paste(BACKGROUND, (x - width // 2, y - pad, x + width // 2, y + size + pad))
        draw_text(dimmed, x, y, words, size, TEXT, "center")
        result = frame.copy()
        result.paste(dimmed, box[:2])
        return result

    def _strip(self, top: int, bottom: int) -> tuple[Image.Image, Image.Image, int]:
        """What never changes of a strip, and how much of it covers the picture: words all, the ground most."""
        still = Image.new("RGB", (self.size[0], self.size[1]), BACKGROUND)
        for panel, y in self._placed:
            if top <= y < bottom:
                panel.still(still, 0, y)
        still = still.crop((0, top, self.size[0], bottom))
        drawn = ImageChops.difference(still, Image.new("RGB", still.size, BACKGROUND)).convert("L")
        mask = drawn.point(lambda value: 255 if value else OPACITY)
        return still, mask, top
