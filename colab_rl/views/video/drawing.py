"""Text, lines and lights on Pillow images: cheap enough for every frame of a video, and the same on every machine.

Text is in Pillow's own font (Aileron, in the package since Pillow 10.1), so that no machine's fonts matter. What
repeats, a word or a light, is drawn once and kept as a mask.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
NUMERIC = frozenset("0123456789.+-")
SMOOTH = 4  # lines and lights are drawn so many times larger, and reduced: Pillow draws without antialiasing


@lru_cache(maxsize=32)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels."""
    loaded = ImageFont.load_default(size)
    assert isinstance(loaded, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return loaded


@lru_cache(maxsize=4096)
def text_width(string: str, size: int) -> int:
    """Pixels that a line of text takes."""
    if len(string) > 1 and NUMERIC.issuperset(string):
        return sum(text_width(character, size) for character in string)
    return int(np.ceil(font(size).getlength(string)))


def shorten(string: str, size: int, width: int) -> str:
    """The text, cut with an ellipsis if it is wider than `width` pixels."""
    if text_width(string, size) <= width:
        return string
    while string and text_width(string + "…", size) > width:
        string = string[:-1]
    return string.rstrip() + "…"


def draw_text(image: Image.Image, x: float, y: float, string: str, size: int, color: Color,
              anchor: str = "left") -> None:
    """A line of text whose capitals reach from `y` down; `anchor` says which of its ends, or its middle, is at `x`."""
    mask, left, top = _text_mask(string, size)
    offset = {"left": 0.0, "center": 0.5, "right": 1.0}[anchor] * text_width(string, size)
    at = round(x - offset) + left, round(y) + top
    image.paste(color, (*at, at[0] + mask.width, at[1] + mask.height), mask)


@lru_cache(maxsize=32)
def capital_height(size: int) -> int:
    """Pixels from the top of a capital to the line it stands on."""
    return -int(font(size).getbbox("H", anchor="ls")[1])


def draw_light(image: Image.Image, x: int, y: int, diameter: int, color: Color) -> None:
    """A disc whose box begins at (x, y)."""
    mask = _disc(diameter)
    image.paste(color, (x, y, x + diameter, y + diameter), mask)


def draw_box(image: Image.Image, x: float, y: float, width: float, height: float, color: Color) -> None:
    """A filled rectangle, cut to whole pixels; one that is a pixel wide stays so, wherever it lies."""
    # Python's round(0.5) and round(1.5) are 0 and 2: by it a width would depend on the place.
    left, top, right, bottom = (math.floor(edge + 0.5) for edge in (x, y, x + width, y + height))
    if right > left and bottom > top:
        image.paste(color, (left, top, right, bottom))


def polyline(x: np.ndarray, y: np.ndarray, size: tuple[int, int], width: float) -> Image.Image:
    """A line through (K,) points in pixels as a mask of `size`; it has a gap if `y` is not finite."""
    large = Image.new("L", (size[0] * SMOOTH, size[1] * SMOOTH))
    draw = ImageDraw.Draw(large)
    for run in _finite_runs(x * SMOOTH, y * SMOOTH):
        draw.line(run, fill=255, width=max(1, round(width * SMOOTH)), joint="curve")
    return large.reduce(SMOOTH)


def curve(values: np.ndarray, low: float, high: float, height: int, pixels: int, width: float) -> Image.Image:
    """A line through (T,) values as a mask, `pixels` columns a step and `height` rows, with `high` at the top.

    width: of the line, in pixels. The line has a gap at a value that is not finite.
    """
    share = (np.asarray(values, np.float64) - low) / max(high - low, 1e-12)
    y = width / 2 + (height - width) * (1 - np.clip(share, 0, 1))
    x = (np.arange(len(values)) + 0.5) * pixels
    mask = Image.new("L", (len(values) * pixels, height))
    steps = max(1, 4096 // pixels)  # a long episode is drawn in pieces: the large image would be gigabytes
    for first in range(0, len(values), steps):
        piece = slice(max(0, first - 2), first + steps + 2)
        size = min(steps, len(values) - first) * pixels, height
        mask.paste(polyline(x[piece] - first * pixels, y[piece], size, width), (first * pixels, 0))
    return mask


def _finite_runs(x: np.ndarray, y: np.ndarray) -> list[list[tuple[float, float]]]:
    """The points, split where y is not finite."""
    edges = np.flatnonzero(np.diff(np.r_[False, np.isfinite(y), False].astype(np.int8)))
    return [list(zip(x[a:b].tolist(), y[a:b].tolist(), strict=True)) for a, b in edges.reshape(-1, 2)]


@lru_cache(maxsize=4096)
def _text_mask(string: str, size: int) -> tuple[Image.Image, int, int]:
    """The text as a mask, and its place from the left end and the top of a capital."""
    if len(string) > 1 and NUMERIC.issuperset(string):
        return _number_mask(string, size)
    left, top, right, bottom = (int(edge) for edge in font(size).getbbox(string, anchor="ls"))
    mask = Image.new("L", (max(1, right - left), max(1, bottom - top)))
    ImageDraw.Draw(mask).text((-left, -top), string, fill=255, font=font(size), anchor="ls")
    return mask, left, top + capital_height(size)


def _number_mask(string: str, size: int) -> tuple[Image.Image, int, int]:
    """As `_text_mask`, from the masks of its characters: numbers are new at every frame, and shaping text is slow."""
    margin = 1 + size // 16  # round characters reach a little beyond
    mask = Image.new("L", (text_width(string, size), capital_height(size) + 2 * margin))
    x = 0
    for character in string:
        glyph, left, top = _text_mask(character, size)
        mask.paste(glyph, (x + left, margin + top))
        x += text_width(character, size)
    return mask, 0, -margin


@lru_cache(maxsize=32)
def _disc(diameter: int) -> Image.Image:
    large = Image.new("L", (diameter * SMOOTH, diameter * SMOOTH))
    ImageDraw.Draw(large).ellipse((0, 0, diameter * SMOOTH - 1, diameter * SMOOTH - 1), fill=255)
    return large.reduce(SMOOTH)
