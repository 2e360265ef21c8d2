"""`render`: a video of a checkpoint's policy, with its telemetry drawn over it, and a copy of it in the store."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colab_rl.arguments import check_seed, checked
from colab_rl.checkpoints import Manifest
from colab_rl.checkpoints.layout import VIDEOS
from colab_rl.environments import EnvironmentSource, describe
from colab_rl.environments.repeats import say_unless_it_repeats
from colab_rl.errors import ColabRLError, UsageError, nearest
from colab_rl.progress import progress_bar, say
from colab_rl.runs.places import Location, Places
from colab_rl.storage import absolute_path
from colab_rl.views.files import check_file_name, fitting_name, keep_in_store
from colab_rl.views.values import text_of
from colab_rl.views.video.encoder import VideoWriter, check_encoder, check_suffix, check_writable
from colab_rl.views.video.overlay import parse_panels
from colab_rl.views.video.reels import Camera, Sequel, SideBySide, Style, pictures_per_second, stride_and_fps
from colab_rl.views.video.takes import takes_of, usual_seed

FORMS = ("episode", "compare", "evolution")
EVOLUTION_SECONDS = 6.0    # of each
WIDTHS = {"episode": 600, "compare": 960, "evolution": 600}
GIF_WIDTH = 480
MOST_GIF_FRAMES = 500      # 20 s; a longer one is no file for a README
NARROWEST, WIDEST = 240, 3840
SLOWEST, FASTEST = 0.05, 50.0


@dataclass(frozen=True)
class Video:
    """A video that was made.

    path: the file. frames, fps, size: of it, (width, height) in pixels.
    returns: of each episode in it, by run and generation, such as `{"walker:12": 312.4}`; those of `evaluate`.
    store: where its copy is in the store, None if there is none; store_error: why not.
    store_state: of the copy: `verified`, `written` (to a mount, which proves no more) or `absent`.
    """

    path: Path
    form: str
    seed: int
    frames: int
    fps: float
    size: tuple[int, int]
    returns: dict[str, float]
    store: str | None
    store_state: str
    store_error: str | None

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return self.frames / self.fps

    def summary(self) -> str:
        """The file, its place and its episodes, in a few lines."""
        width, height = self.size
        lines = [f"{self.path}: {self.seconds:.1f} s, {width}x{height}, {self.fps:g} frames/s, "
                 f"{self.path.stat().st_size / 1e6:.1f} MB"]
        lines += [f"{name}: return {text_of(value)} on seed {self.seed}" for name, value in self.returns.items()]
        return "\n".join(lines + ([f"copy in the store, {self.store_state}: {self.store}"] if self.store else []))


@checked
def render(run: str, *, form: str = "episode", checkpoint: str | int = "best", against: Sequence[str] = (),
           seed: int | None = None, out: str | os.PathLike | None = None, gif: bool = False, overlay: str = "all",
           size: int | None = None, speed: float = 1.0, seconds: float | None = None, overwrite: bool = False,
           env: EnvironmentSource | None = None, root: Location = None, store: Location = None) -> Video:
    """Makes a video of deterministic episodes, and copies it into the run's videos/ in the store.

    form: `episode`, `compare` (side by side with those of `against`), or `evolution` (the run's checkpoints from the
        first to `checkpoint`).
    against: 1 to 3 of `RUN` or `RUN:CHECKPOINT`. By default the run's first checkpoint.
    seed: of the episodes, which are those of `evaluate`. By default the seed of the median episode of the run's final
        score, or 0 if the run has none yet.
    out: the file, .mp4 or .gif. By default in the run's videos/. gif: a GIF there.
    overlay: `all`, `none`, or some of caption, numbers, traces, actions, progress, with commas between.
    size: width in pixels, even. speed: 1 is real time.
    seconds: the longest part of each episode that it shows. By default all, or 6 s for `evolution`. In a GIF it is less
        if the whole would have more than 500 frames.
    overwrite: whether it may replace an existing file.
    env: give it if the run trains on a function. It makes the environment with render_mode="rgb_array".

    Raises UsageError for arguments that contradict each other or are out of range. Raises ColabRLError if it cannot
    make the video, and then leaves no file.
    """
    _check_options(form, against, seed, size, speed, seconds)
    panels = parse_panels(overlay)
    named, out = out, None if out is None else absolute_path(out, "out")
    suffix = _suffix(out, gif)
    places = Places(root, store)
    identity = places.require(run)
    seed = usual_seed(identity, places) if seed is None else seed
    source = identity.environment(env, "render")
    camera = _check_possible(source, out, overwrite)
    usual_seconds = EVOLUTION_SECONDS if form == "evolution" else None
    is_usual_length = seconds in (None, usual_seconds)
    width = size or (GIF_WIDTH if suffix == ".gif" else WIDTHS[form])
    takes = takes_of(form, identity, places, checkpoint, against, seed, source)
    picture_fps = pictures_per_second(camera, takes[0].episode.step_seconds)
    stride, fps = stride_and_fps(picture_fps, speed, suffix)
    style = Style(panels, width, usual_seconds if seconds is None else seconds, stride, picture_fps)
    kind = SideBySide if form == "compare" else Sequel
    reel = kind(takes, describe(source), source, style)
    if suffix == ".gif" and len(reel) > MOST_GIF_FRAMES and seconds is None:
        frames = MOST_GIF_FRAMES // (len(takes) if reel.in_turn else 1)
        style = replace(style, seconds=(frames - 1) * stride / picture_fps)
        reel = kind(takes, describe(source), source, style)
        say(f"a GIF has at most {MOST_GIF_FRAMES} frames: it shows {style.seconds:.1f} s of each episode")
    if suffix == ".gif" and len(reel) > MOST_GIF_FRAMES:
        raise UsageError(f"as a GIF this has {len(reel)} frames, and {MOST_GIF_FRAMES} are the most: give a greater "
                         f"--speed, fewer --seconds, or make an .mp4; no video was written")

    returns = {f"{take.run}:{take.manifest.generation}": take.episode.total_return for take in takes}
    words = {"form": form, "run": run, "seed": seed, "speed": speed, "overlay": panels, "size": width,
             "seconds": style.seconds, "checkpoints": [take.manifest.stem for take in takes]}
    usual = overlay == "all" and size is None and speed == 1 and not against and is_usual_length
    name = _name(takes[0 if against else -1].manifest, words, usual, suffix)  # `checkpoint` of the run itself
    path = out if out is not None else places.local(run).root / VIDEOS / name
    if path.exists():
        say(f"{path} exists already, and will be replaced")
    with VideoWriter(path, reel.size, fps, json.dumps({"colab_rl": {**words, "returns": returns}})) as writer:
        for frame in progress_bar(len(reel), f"filming {path.name}", "frame", iterable=reel):
            writer.write(frame)
    shown = Path(named) if named is not None and Path(named).exists() else path
    return Video(shown, form, seed, len(reel), fps, reel.size, returns,
                 *keep_in_store(places, identity, VIDEOS + name, path))


def _check_options(form: str, against: Sequence[str], seed: int | None, size: int | None, speed: float,
                   seconds: float | None) -> None:
    if form not in FORMS:
        raise UsageError(f"no form {form!r}{nearest(form, FORMS)} (available: {', '.join(FORMS)})")
    if against and form != "compare":
        raise UsageError("other checkpoints to compare with belong to the form compare: give --form compare")
    check_seed(seed or 0)
    if size is not None and not NARROWEST <= size <= WIDEST:
        raise UsageError(f"the size is a width between {NARROWEST} and {WIDEST} pixels, not {size}")
    if size is not None and size % 2:
        raise UsageError(f"the size must be even, since H.264 stores colours for two pixels at a time: "
                         f"{size - 1} or {size + 1}, not {size}")
    if not SLOWEST <= speed <= FASTEST:
        raise UsageError(f"the speed must be between {SLOWEST} and {FASTEST:.0f}, not {speed}")
    if seconds is not None and not 0 < seconds < math.inf:
        raise UsageError(f"the seconds must be more than 0, not {seconds}")


def _suffix(out: Path | None, gif: bool) -> str:
    if out is None:
        return ".gif" if gif else ".mp4"
    check_suffix(out)
    check_file_name(out)
    suffix = out.suffix.lower()
    if gif and suffix != ".gif":
        raise UsageError(f"a GIF was asked for, and {out} is to be an {suffix}: leave one of them out")
    return suffix


def _check_possible(source: EnvironmentSource, out: Path | None, overwrite: bool) -> Camera:
    """Before any work: raises ColabRLError if the environment does not render, or if a video cannot be encoded or
    written. Says so if an episode does not repeat. Returns a camera, closed, that knows its pace.
    """
    say_unless_it_repeats(source)
    with contextlib.closing(Camera(source)) as camera:
        check_encoder()
    if out is not None:
        if out.is_dir():
            raise UsageError(f"{out} is a folder: name a file in it")
        if out.exists() and not overwrite:
            raise ColabRLError(f"{out} exists already; nothing was changed; give another name, or --overwrite")
        check_writable(out.parent)
    return camera


def _name(manifest: Manifest, words: dict, usual: bool, suffix: str) -> str:
    """A file name that says what it is, `walker-11-episode-seed0.mp4`; unusual settings add their hash."""
    digest = "" if usual else f"-{hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:6]}"
    stem = f"{words['run']}-{manifest.generation}-{words['form']}-seed{words['seed']}{digest}"
    return fitting_name(stem, suffix)
