"""What the notebooks' cells call, beyond the package's own functions."""

from __future__ import annotations

import base64
import os
import shutil
import sys
import tempfile
from pathlib import Path

from colab_rl.runs import TENSORBOARD, Places
from colab_rl.views.encoder import make_preview
from colab_rl.views.video import Video

MOST_INLINE = 8_000_000  # bytes of a film inside a notebook


def show_tensorboard(root: str | os.PathLike | None = None) -> None:
    """TensorBoard over this machine's event files, in the cell's output.

    Started before training, it shows curves while the training cell runs.
    """
    from tensorboard import notebook

    folder = Places(root, store="none").root / TENSORBOARD
    folder.mkdir(parents=True, exist_ok=True)
    beside_python = Path(sys.executable).with_name("tensorboard")
    if not shutil.which("tensorboard") and beside_python.exists():
        os.environ.setdefault("TENSORBOARD_BINARY", str(beside_python))
    notebook.start(f"--logdir {folder} --reload_interval 15")


def show_video(video: Video) -> None:
    """A player in the cell's output, for the file itself where it is small, else for a preview made for it.

    Larger films inside a notebook have crashed browser tabs.
    """
    from IPython.display import HTML, display

    print(video.summary())
    with tempfile.TemporaryDirectory() as folder:
        path = video.path
        if path.stat().st_size > MOST_INLINE:
            path = Path(folder, "preview.mp4")
            make_preview(video.path, path, MOST_INLINE // 2)
            print(f"shown here: a smaller preview; the film itself is {video.store or video.path}")
        content = base64.b64encode(path.read_bytes()).decode()
    width = f'style="width:100%;max-width:{video.size[0]}px"'
    if path.suffix.lower() == ".gif":
        display(HTML(f'<img {width} src="data:image/gif;base64,{content}">'))
    else:
        display(HTML(f'<video {width} controls autoplay loop muted playsinline '
                     f'src="data:video/mp4;base64,{content}"></video>'))
