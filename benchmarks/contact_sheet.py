"""A picture that shows every report at once: desk and phone, light and dark.

    python benchmarks/contact_sheet.py walker lander cart --together walker other --root runs --out sheet.png

Each run has a report of its own, and `--together` names runs of one more. Prints the size of each page, how long it
takes until it is complete, and the lowest contrast of a text on it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

from PIL import Image

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))

from browser import TEXTS, visit

from colab_rl.views.palette import contrast
from colab_rl.views.report import build_page

VIEWS = ((1280, False), (1280, True), (400, False), (400, True))  # width in pixels, dark
THUMB, TALLEST = 420, 2600  # pixels of a picture in the sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--together", nargs="+", action="append", default=[])
    parser.add_argument("--root", default="runs")
    parser.add_argument("--store", default="none")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("sheet.png"))
    parser.add_argument("--pages", type=pathlib.Path, help="where each picture is kept in full, too")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        pages = options.pages or pathlib.Path(folder)
        pages.mkdir(parents=True, exist_ok=True)
        for names in [*([run] for run in options.runs), *options.together]:
            path = pages / f"{'-'.join(names)[:60]}.html"
            path.write_text(build_page(names, episodes=options.episodes, root=options.root, store=options.store))
            rows.append([look_at(path, width, dark, pathlib.Path(folder)) for width, dark in VIEWS])
    sheet(rows).save(options.out)
    print(f"{options.out}: {len(rows)} reports")


def look_at(path: pathlib.Path, width: int, dark: bool, folder: pathlib.Path) -> Image.Image:
    """A picture of a page, of `THUMB` pixels; says what was measured on it."""
    name = f"{path.stem}-{width}-{'dark' if dark else 'light'}"
    picture = path.with_name(f"{name}.png")
    (milliseconds, texts), errors = visit(path, ["performance.now()", TEXTS], folder / name, width=width, dark=dark,
                                          picture=picture)
    lowest, words = min((contrast(hexadecimal(color), hexadecimal(back)), words) for words, color, back in texts)
    print(f"{name}: {path.stat().st_size / 1e6:.1f} MB, complete in {milliseconds / 1000:.1f} s, lowest contrast "
          f"{lowest:.2f} ({words!r}), {len(errors)} errors", flush=True)
    image = Image.open(picture).convert("RGB")
    image = image.resize((THUMB, max(1, image.height * THUMB // image.width)))
    return image.crop((0, 0, THUMB, min(image.height, TALLEST)))


def hexadecimal(color: list[float]) -> str:
    """A colour of a browser as `#rrggbb`."""
    return "#" + "".join(f"{round(part):02x}" for part in color)


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """The pictures, a row for each report."""
    heights = [max(image.height for image in row) for row in rows]
    whole = Image.new("RGB", ((THUMB + 10) * len(VIEWS), sum(heights) + 10 * len(rows)), "#888888")
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for i, image in enumerate(row):
            whole.paste(image, ((THUMB + 10) * i, top))
        top += height + 10
    return whole


if __name__ == "__main__":
    main()
