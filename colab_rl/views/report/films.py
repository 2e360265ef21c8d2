"""Two films for a report: the median episode, and the worst, which is the first that went wrong if any did."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from colab_rl.checkpoints.confirmation import Confirmation
from colab_rl.checkpoints.recovery import Checkpoint
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.evaluation.episode import Episode
from colab_rl.policies.load import record_checkpoint
from colab_rl.progress import progress_bar
from colab_rl.runs.identity import Identity
from colab_rl.views.report.verdict import Judged
from colab_rl.views.values import text_of
from colab_rl.views.video.encoder import VideoWriter
from colab_rl.views.video.reels import Camera, Sequel, Style, pictures_per_second, stride_and_fps
from colab_rl.views.video.takes import Take

WIDTH = 480
LONGEST = 20.0       # seconds; a longer episode is shown faster
FILM_PANELS = ("caption", "progress")
STYLE = """
.films { display: flex; flex-wrap: wrap; gap: 14px; margin-bottom: 18px; }
.films figure { margin: 0; flex: 1 1 300px; max-width: 480px; }
.films video { width: 100%; border-radius: 6px; }
.films figcaption { font-size: 13px; color: var(--soft); }
"""


@dataclass(frozen=True)
class Films:
    """Videos beside each other, each under its words: (words, MP4)."""

    films: list[tuple[str, bytes]]

    def html(self) -> str:
        """As an element of a page."""
        parts = [f'<figure><video src="data:video/mp4;base64,{base64.b64encode(data).decode()}" controls loop muted '
                 f'playsinline preload="metadata" aria-label="{html.escape(words)}"></video>'
                 f"<figcaption>{html.escape(words)}</figcaption></figure>" for words, data in self.films]
        return f'<style>{STYLE}</style><div class="films">{"".join(parts)}</div>'


def telling_episodes(judged: Judged) -> dict[str, int]:
    """The numbers of the episodes that say most, by what they are: the median, and the worst or the first mishap."""
    order = np.argsort(judged.returns, kind="stable")
    median, wrong = int(order[(len(order) - 1) // 2]), np.flatnonzero(judged.mishaps)
    if len(wrong):
        which = f"first of {len(wrong)}" if len(wrong) > 1 else "only episode with"
        return {"the median episode": median, f"the {which} {judged.mishap}": int(wrong[0])}
    return {"the median episode": median, "the worst episode": int(order[0])}


def record_telling(identity: Identity, checkpoint: Checkpoint, source: EnvironmentSource, judged: Judged
                   ) -> dict[str, Episode]:
    """Those episodes, recorded again, by their captions."""
    found = {}
    for words, number in telling_episodes(judged).items():
        seed = judged.seed + number
        episode = record_checkpoint(identity, checkpoint, seed, source)
        found[f"{words}: return {text_of(episode.total_return)}, {episode.steps:,} steps, seed {seed}"] = episode
    return found


def films_of(identity: Identity, checkpoint: Checkpoint, source: EnvironmentSource, episodes: Mapping[str, Episode],
             confirmed: Confirmation | None) -> Films:
    """Films of the episodes. Raises ColabRLError if the environment does not render, or FFmpeg is missing."""
    films, reels = [], []
    camera = Camera(source)
    camera.close()
    for words, episode in episodes.items():
        picture_fps = pictures_per_second(camera, episode.step_seconds)
        duration = episode.length * camera.per_step / picture_fps
        stride, fps = stride_and_fps(picture_fps, max(1.0, duration / LONGEST), ".gif")  # 25 frames a second do
        reels.append((words, fps, Sequel([Take(identity.name, checkpoint.manifest, episode, confirmed)],
                                         describe(source), source,
                                         Style(FILM_PANELS, WIDTH, None, stride, picture_fps))))
    with progress_bar(sum(len(reel) for _, _, reel in reels), "filming episodes", "frame") as bar, \
            tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        for words, fps, reel in reels:
            with VideoWriter(path, reel.size, fps) as writer:
                for frame in reel:
                    writer.write(frame)
                    bar.update()
            films.append((words, path.read_bytes()))
    return Films(films)
