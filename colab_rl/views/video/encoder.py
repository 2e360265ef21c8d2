"""Frames to a video file, one at a time: H.264 for players everywhere, or a GIF for a README.

MoviePy's writer feeds FFmpeg, with the same calls in MoviePy 1.0.3 and 2. Nothing else of MoviePy is needed, so that
its clips, which hold frames or ask for them out of order, and ImageMagick stay out of it. A file appears under its name
when it is whole, and not before.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from pathlib import Path
from typing import IO

import numpy as np

from colab_rl.errors import ColabRLError, UsageError
from colab_rl.views.files import temporary_beside, try_writing

SUFFIXES = (".mp4", ".gif")
# Even sizes and yuv420p play on phones; BT.709, and said so, gives the same colours in every player.
H264 = ["-crf", "22", "-g", "250", "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-movflags", "+faststart"]
LOSSLESS = ["-crf", "0", "-pix_fmt", "rgb24"]
GIF_COLORS = 128
PIPE = 1 << 20  # bytes; the most that Linux gives without asking


class VideoWriter:
    """`write` takes frames of one even size; used with `with`, which makes the file whole or leaves none.

    path: ends in .mp4 or .gif. fps: frames shown a second. comment: kept in the file's metadata.
    Raises ColabRLError if FFmpeg is missing or fails, or the place cannot be written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float, comment: str = ""):
        check_suffix(path)
        self.path = path
        self.size = size
        self._comment = comment
        self._fps = fps
        self._temporary = temporary_beside(path, path.suffix.lower())
        self._gif = path.suffix.lower() == ".gif"
        # A GIF's colours are chosen from all frames, so they are kept without loss until the last one is there.
        self._stream = self._temporary.with_suffix(".mkv") if self._gif else self._temporary

    def __enter__(self) -> VideoWriter:
        check_writable(self.path.parent)
        kind = _writer_class()
        codec, parameters = ("libx264rgb", LOSSLESS) if self._gif else ("libx264", H264)
        metadata = ["-metadata", f"comment={self._comment}"] if self._comment else []
        try:
            # MoviePy hands FFmpeg the frame rate with two decimals.
            self._writer = kind(str(self._stream), self.size, self._fps, codec=codec,
                                preset="ultrafast" if self._gif else "superfast",
                                ffmpeg_params=[*parameters, *metadata])
        except OSError as error:
            raise ColabRLError(f"FFmpeg cannot be started: {error.strerror or error}; no video was written") from error
        self._process = self._writer.proc
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # room for a frame, so that drawing continues while FFmpeg encodes
                fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, PIPE)
        return self

    def write(self, frame: np.ndarray) -> None:
        """Adds a frame, (height, width, 3) uint8."""
        try:
            self._writer.write_frame(frame)
        except OSError as error:
            raise _failed(self.path, str(error)) from error

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._process.kill()
            with contextlib.suppress(OSError, ValueError):  # what it had not read yet
                self._writer.close()
            self._process.wait()
            for leftover in {self._stream, self._temporary}:
                leftover.unlink(missing_ok=True)

    def _finish(self) -> None:
        with contextlib.suppress(OSError):  # FFmpeg has left; it says why
            self._process.stdin.close()
        said = self._process.stderr.read().decode(errors="replace")
        if self._process.wait() != 0:
            raise _failed(self.path, said)
        if self._gif:
            # Read twice: for the colours, and with them.
            run_ffmpeg("-i", self._stream, "-i", self._stream, "-lavfi",
                       f"[0:v]palettegen=max_colors={GIF_COLORS}:stats_mode=diff[palette];"
                       "[1:v][palette]paletteuse=dither=none:diff_mode=rectangle", self._temporary)
        os.replace(self._temporary, self.path)


def check_suffix(path: Path) -> None:
    """Raises UsageError for a name that is neither .mp4 nor .gif."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path} is neither {' nor '.join(SUFFIXES)}: its ending says which kind of video it is")


def check_encoder() -> None:
    """Raises ColabRLError if MoviePy or FFmpeg is missing."""
    _writer_class()
    _ffmpeg()


def check_writable(folder: Path) -> None:
    """Makes the folder if it is missing. Raises ColabRLError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try_writing(folder)
    except OSError as error:
        raise ColabRLError(f"{folder} cannot be written: {error.strerror}; no video was written; "
                           "choose another place with --out") from error


def make_preview(video: Path, preview: Path, most_bytes: int) -> None:
    """A smaller copy of a video, 480 pixels wide, cut if it would take more than `most_bytes`."""
    with video.open("rb") as film:  # not by its name, which FFmpeg may read as a protocol or a pattern
        run_ffmpeg("-i", "pipe:0", "-vf", "scale=480:-2,format=yuv420p", "-vcodec", "libx264", "-preset", "veryfast",
                   "-crf", "30", "-movflags", "+faststart", "-fs", most_bytes, preview.absolute(), stdin=film)


def run_ffmpeg(*arguments: object, stdin: IO[bytes] | int = subprocess.DEVNULL) -> None:
    """Runs FFmpeg. Raises ColabRLError with what it said if it fails."""
    command = [_ffmpeg(), "-y", "-loglevel", "error", *map(str, arguments)]
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise ColabRLError(f"FFmpeg failed: {_reason(done.stderr)}; no video was written")


def _ffmpeg() -> str:
    """The program that MoviePy uses too: imageio-ffmpeg's own, or the one that $IMAGEIO_FFMPEG_EXE names."""
    import imageio_ffmpeg

    try:
        return imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError as error:
        raise _no_ffmpeg(error) from error


def _writer_class() -> type:
    # MoviePy takes half a second to import, and looks for FFmpeg when it is imported.
    try:
        from moviepy.video.io.ffmpeg_writer import FFMPEG_VideoWriter
    except ImportError as error:
        raise ColabRLError(f"videos need MoviePy ({error}); no video was written: pip install moviepy") from error
    except (OSError, RuntimeError) as error:
        raise _no_ffmpeg(error) from error
    return FFMPEG_VideoWriter


def _no_ffmpeg(error: Exception) -> ColabRLError:
    return ColabRLError(f"no FFmpeg is found ({' '.join(str(error).split())}); no video was written: "
                        "pip install imageio-ffmpeg")


def _failed(path: Path, said: str) -> ColabRLError:
    return ColabRLError(f"{path} could not be written: {_reason(said)}; no video was written")


def _reason(said: str) -> str:
    """The line of what FFmpeg said that tells a person most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "No space left" in said:
        return "no space is left on the disk"
    return (lines or ["FFmpeg stopped without a message"])[-1]

