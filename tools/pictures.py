"""Makes the pictures of the documents from the trained example: `python tools/pictures.py [--gif]`.

    training.png    the live plot of 01_train
    verdict.png, score.png, learning.png, optimizer.png, gait.png     parts of the report
    video.png       a frame of a video
    walker.gif      the moving picture of the README, with --gif only

It needs Chromium. Look at each picture before you commit it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
from PIL import Image

HOME = Path(__file__).parents[1]
sys.path.insert(0, str(HOME))

from colab_rl import render  # noqa: E402
from colab_rl.example import EXAMPLE, unpack_example  # noqa: E402
from colab_rl.runs.places import Places  # noqa: E402
from colab_rl.views.history import History  # noqa: E402
from colab_rl.views.live import LivePlot  # noqa: E402
from colab_rl.views.report.build import build_page  # noqa: E402

PICTURES = HOME / "docs" / "pictures"
COLOURS = 128  # of a picture: its file is then a third as large
# A section of the report, by the beginning of its heading, and the height of the part that is shown, in pixels.
SECTIONS = {"score": ("Score", 410), "learning": ("Learning", 760), "optimizer": ("Optimizer", 820),
            "gait": ("Gait", 820)}


def photograph(page: str, target: Path, height: int, width: int = 960) -> None:
    """A page in headless Chromium as a PNG."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium found: apt-get install chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file, shot = Path(folder, "page.html"), Path(folder, "shot.png")
        file.write_text(page)
        subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                        f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
                        "--virtual-time-budget=30000", f"--screenshot={shot}", file.as_uri()],
                       check=True, stderr=subprocess.DEVNULL)
        save(Image.open(shot), target)


def save(picture: Image.Image, target: Path) -> None:
    """Writes a picture with few colours."""
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.relative_to(HOME)}: {picture.size[0]} x {picture.size[1]}, {target.stat().st_size // 1000} kB")


def training(places: dict[str, str]) -> None:
    """The live plot two thirds of the way through the run."""
    history = History(Places(**places).require(EXAMPLE), Places(**places))
    table = history.curves.table
    rows = [{name: float(column[number]) for name, column in table.items()} for number in range(len(table["step"]))]
    shown: list[str] = []
    plot = LivePlot("walker", lambda bundle: shown.append(bundle["text/html"]))
    plot.goal(int(rows[-1]["step"]))
    for row in rows[:len(rows) * 2 // 3]:
        plot.row(row, "checkpoint 5: local, verified in the store")
    plot.close()
    photograph(f"<body style='margin:16px'>{shown[-1]}", PICTURES / "training.png", 400)


def report(places: dict[str, str]) -> None:
    """Parts of the report, each by itself."""
    page = build_page([EXAMPLE], episodes=100, **places)
    photograph(page, PICTURES / "verdict.png", 420)
    for name, (heading, height) in SECTIONS.items():
        section = re.search(f'<h2 id="(section[0-9]+)">{heading}', page)[1]
        # Again and again: what is above it grows while figures are drawn.
        script = (f"<script>let shift = 0; setInterval(() => {{ shift -= document.getElementById('{section}')"
                  ".getBoundingClientRect().top; document.body.style.marginTop = shift + 'px' }, 100)</script>")
        photograph(page.replace("<script>", script + "<script>", 1), PICTURES / f"{name}.png", height)


def video(places: dict[str, str]) -> None:
    """A frame of the fourth second."""
    with tempfile.TemporaryDirectory() as folder:
        file, frame = Path(folder, "walker.mp4"), Path(folder, "frame.png")
        render(EXAMPLE, out=file, seconds=5, **places)
        subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-ss", "4", "-i", str(file),
                        "-frames:v", "1", str(frame)], check=True)
        save(Image.open(frame), PICTURES / "video.png")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        unpack_example(Path(root))
        places = {"root": root, "store": "none"}
        training(places)
        report(places)
        video(places)
        if "--gif" in sys.argv:
            render(EXAMPLE, out=PICTURES / "walker.gif", overwrite=True, **places)


if __name__ == "__main__":
    main()
