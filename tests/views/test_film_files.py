"""Films as files: they decode to what was written, play in a browser, and are whole or not there."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from films import decoded, probe
from helpers import NAMES
from PIL import Image

from colab_rl import ColabRLError
from colab_rl.views.video.encoder import VideoWriter, make_preview
from colab_rl.views.video.reels import stride_and_fps

pytestmark = pytest.mark.usefixtures("one_core")


def moving_square(count=20, size=(120, 80)):
    for i in range(count):
        frame = np.full((size[1], size[0], 3), (215, 215, 255), np.uint8)
        frame[20:60, 3 * i:3 * i + 30] = (200, 40, 30)
        yield frame


def test_an_mp4_decodes_to_what_was_written(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, (120, 80), 25, comment='{"a": 1}') as writer:
        for frame in moving_square():
            writer.write(frame)
    said, frames = probe(path)
    assert frames == 20 and "h264" in said and "yuv420p(tv, bt709" in said and "120x80" in said and "25 fps" in said
    assert '{"a": 1}' in said
    for one, other in zip(decoded(path), moving_square(), strict=True):
        assert np.abs(one.astype(int) - other).mean() < 6
        assert np.abs(one[40, :].astype(int) - other[40, :]).max(axis=-1).mean() < 12
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mp4"]
    head = path.read_bytes()[:4096]
    assert head.index(b"moov") < len(head)  # at the front: it plays while it loads


def test_a_gif_has_its_frames_rate_and_colours(tmp_path):

    path = tmp_path / "out.gif"
    with VideoWriter(path, (120, 80), 25) as writer:
        for frame in moving_square():
            writer.write(frame)
    with Image.open(path) as image:
        assert (image.n_frames, image.size, image.info["duration"], image.info["loop"]) == (20, (120, 80), 40, 0)
        image.seek(10)
        assert np.abs(np.asarray(image.convert("RGB")).astype(int) - list(moving_square())[10]).max() <= 8
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.gif"]


@pytest.mark.parametrize("suffix", [".mp4", ".gif", ".MP4", ".Gif"])
@pytest.mark.parametrize("folder", [".", "50%03d a[1]*?:é"])
def test_a_film_has_the_name_that_a_person_gave_and_no_name_is_a_pattern(tmp_path, monkeypatch, suffix, folder):
    monkeypatch.chdir(tmp_path)
    where = Path(folder, "films")
    for name in [*NAMES, os.fsdecode(b"\xff"), "tab\there", "%d", "film%03d"]:
        path = where / f"{name[:250 if name.isascii() else 125]}{suffix}"
        with VideoWriter(path, (32, 16), 25) as writer:
            for frame in moving_square(3, (32, 16)):
                writer.write(frame)
        assert [entry.name for entry in where.iterdir()] == [path.name]
        head = path.read_bytes()[:12]
        assert head.startswith(b"GIF89a") if suffix.lower() == ".gif" else head[4:8] == b"ftyp"
        if name.startswith(("film", "walker", "-", "party")):
            make_preview(path, Path("small:%d.mp4"), 300_000)
            assert Path("small:%d.mp4").read_bytes()[4:8] == b"ftyp"
        path.unlink()


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ColabRLError])
def test_what_breaks_off_leaves_no_file_and_harms_none(tmp_path, suffix, error):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"the one before")
    with pytest.raises(error), VideoWriter(path, (120, 80), 25) as writer:
        for i, frame in enumerate(moving_square()):
            writer.write(frame)
            if i == 9:
                raise error
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {path.name: b"the one before"}


@pytest.mark.parametrize(("frames", "room"), [(100, "200k"), (5, "16k")])  # full in the middle, and at the very end
def test_a_full_disk_is_one_line_and_no_file(tmp_path, frames, room):
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", tmp_path]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be made here")
    try:
        noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
        with pytest.raises(ColabRLError, match=r"no space is left on the disk; no video was written"), \
                VideoWriter(tmp_path / "out.mp4", (300, 200), 25) as writer:
            for i in range(frames):
                writer.write(np.roll(noise, 7 * i, axis=1))
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_preview_is_small_and_plays(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", (960, 640), 50) as writer:
        noise = np.random.default_rng(0).integers(0, 255, (640, 960, 3), np.uint8)
        for i in range(60):
            writer.write(np.roll(noise, 13 * i, axis=0))
    make_preview(tmp_path / "out.mp4", tmp_path / "small.mp4", 300_000)
    assert (tmp_path / "small.mp4").stat().st_size < 400_000 < (tmp_path / "out.mp4").stat().st_size
    said, frames = probe(tmp_path / "small.mp4")
    assert "480x320" in said and "yuv420p" in said and frames >= 1


def test_playback_keeps_real_time_within_what_players_show():
    assert stride_and_fps(50, 1, ".mp4") == (1, 50)
    assert stride_and_fps(50, 2, ".mp4") == (2, 50)
    assert stride_and_fps(50, 0.5, ".mp4") == (1, 25)
    assert stride_and_fps(50, 1, ".gif") == (2, 25)
    assert stride_and_fps(15, 1, ".mp4") == (1, 15)


@pytest.mark.skipif(not (shutil.which("chromium") or shutil.which("google-chrome")), reason="no Chromium here")
def test_a_film_plays_in_a_browser(tmp_path):
    film = tmp_path / "film.mp4"
    with VideoWriter(film, (120, 80), 25) as writer:
        for frame in moving_square(100, (480, 80)):
            writer.write(frame[:, :120].copy())
    said: queue.Queue = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.startswith("/said"):
                said.put(json.loads(urllib.parse.unquote(self.path.partition("?")[2])))
            page = b"""<video muted autoplay playsinline src="film.mp4"></video><script>
                const film = document.querySelector("video");
                const tell = () => fetch("/said?" + JSON.stringify({time: film.currentTime, width: film.videoWidth,
                    duration: film.duration, error: film.error && film.error.message}));
                film.onerror = tell;
                film.ontimeupdate = () => film.currentTime > 0.5 && tell();</script>"""
            content = film.read_bytes() if self.path == "/film.mp4" else page
            self.send_response(200)
            self.send_header("Content-Type", "video/mp4" if self.path == "/film.mp4" else "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [shutil.which("chromium") or shutil.which("google-chrome"), "--headless=new", "--no-sandbox",
             "--disable-gpu", "--autoplay-policy=no-user-gesture-required", f"--user-data-dir={tmp_path / 'profile'}",
             f"http://127.0.0.1:{server.server_port}/"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)
        try:
            heard = said.get(timeout=90)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            server.shutdown()
    assert heard["error"] is None and heard["time"] > 0.5 and heard["width"] == 120
    assert heard["duration"] == pytest.approx(4.0, abs=0.1)
