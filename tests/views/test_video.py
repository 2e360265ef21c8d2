"""The videos: what is drawn, that it is the evaluation's own episode, and that a file is whole or not there."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from helpers import NAMES, TINY, flip, snapshot
from PIL import Image

from colab_rl import Channels, ColabRLError, UsageError, evaluate, record, render, train
from colab_rl.cli import main
from colab_rl.environments import describe, make_environment
from colab_rl.environments.known import classic
from colab_rl.environments.make import configured
from colab_rl.errors import EnvironmentFault
from colab_rl.evaluation.replay import record_episode, replay
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.training.request import checkpoint_of
from colab_rl.views.report.films import films_of
from colab_rl.views.values import text_of
from colab_rl.views.video import choices, panels
from colab_rl.views.video.drawing import capital_height, curve, draw_box, draw_text, font, text_width
from colab_rl.views.video.encoder import VideoWriter, make_preview
from colab_rl.views.video.overlay import Overlay, free_share, parse_panels
from colab_rl.views.video.panels import BACKGROUND, LIMBS, PANELS, SINGLE, Actions, Caption, Numbers, Scene, Traces
from colab_rl.views.video.reels import Camera, stride_and_fps

pytestmark = pytest.mark.usefixtures("one_core")

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


@pytest.fixture(scope="module")
def trained(one_core, tmp_path_factory):
    """Runs `walker` on BipedalWalker and `pole` on CartPole, with several checkpoints, and `pole` in a store."""
    folder = tmp_path_factory.mktemp("filmed")
    (folder / "store").mkdir()
    for run, env, store in (("walker", "BipedalWalker-v3", "none"), ("pole", "CartPole-v1", folder / "store")):
        assert main(["train", run, "--env", env, "--algo", "ppo", "--backend", "gymnasium",
                     "--root", str(folder / "runs"), "--store", str(store), "--total-steps", "300",
                     "--set", *TINY, "keep_every=1"]) == 0
    return folder


@pytest.fixture
def here(tmp_path, trained, monkeypatch):
    """A copy of it, where commands find it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    return tmp_path


def episode_of(env_id, act, seed=0, values=None):
    """An episode of a plain policy, recorded; and the environment, which renders."""
    environment = make_environment(env_id, render_mode="rgb_array")
    spaces = describe(env_id)
    values = values or (lambda obs: np.arange(len(obs), dtype=np.float32))
    return environment, spaces, record_episode(environment, spaces, act, values, seed, env_id)


def random_actions(env_id):
    space = make_environment(env_id).action_space
    space.seed(3)
    return lambda obs: np.array([space.sample()])


def scene_of(episode, spaces, **changes):
    scene = Scene(episode, spaces, ("walker", "generation 3", "82k steps", "score 47.3"), [episode], 0.02)
    return scene._replace(**changes)


@pytest.fixture(scope="module")
def walk():
    """A short walk of BipedalWalker with random actions."""
    return episode_of("BipedalWalker-v3", random_actions("BipedalWalker-v3"), seed=5)


def drawn(panel, t):
    """(height, width, 3) of a panel at state t."""
    from PIL import Image

    image = Image.new("RGB", (panel.width, panel.height), BACKGROUND)
    panel.still(image)
    panel.frame(image, t)
    return np.asarray(image).astype(int)


def where(image, color):
    """Rows and columns of the pixels of exactly that colour."""
    return np.nonzero((image == color).all(axis=-1))


def probe(path):
    """What FFmpeg says of a file, its number of frames, and the first one as (H, W, 3)."""
    said = subprocess.run([FFMPEG, "-i", path], capture_output=True, text=True).stderr
    frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    return said, frames


def decoded(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    width, height = next(reader)["size"]
    return [np.frombuffer(frame, np.uint8).reshape(height, width, 3) for frame in reader]


# ---- drawing and panels --------------------------------------------------------------------------------------------


def test_the_font_is_pillows_own_and_its_digits_have_one_width():
    assert font(14).getname()[0] == "Aileron"
    assert len({font(size).getlength(digit) for digit in "0123456789" for size in (14,)}) == 1


def test_text_stands_where_it_is_anchored():
    from PIL import Image

    columns = {}
    for anchor in ("left", "right"):
        image = Image.new("RGB", (100, 30))
        draw_text(image, 50, 10, "82.50", 13, (255, 255, 255), anchor)
        rows, columns[anchor] = np.nonzero(np.asarray(image)[..., 0] > 60)
        assert rows.min() >= 10 and rows.max() <= 20
    assert columns["left"].min() >= 49 and columns["right"].max() <= 51


def test_a_curve_passes_through_its_values_and_breaks_where_there_are_none():
    values = np.r_[np.zeros(20), np.full(20, np.nan), np.ones(20)]
    mask = np.asarray(curve(values, 0, 1, 40, 2, 2.0))
    assert mask.shape == (40, 120)
    assert mask[-2:, 10].max() == 255 and mask[:30, 10].max() == 0
    assert mask[:, 44:76].max() == 0
    assert mask[:2, 100].max() == 255 and mask[10:, 100].max() == 0


def test_a_long_curve_has_no_seams():
    values = np.sin(np.arange(9000) / 30)
    mask = np.asarray(curve(values, -1, 1, 30, 1, 2.0)).astype(int)
    for start in (4000, 8100):
        piece = np.asarray(curve(values[start:start + 300], -1, 1, 30, 1, 2.0)).astype(int)
        assert np.abs(mask[:, start + 5:start + 295] - piece[:, 5:295]).max() <= 2


@pytest.mark.parametrize("left", [0.5, 1.5, 2.5, 2.4999])
def test_a_box_of_one_pixel_is_drawn_wherever_it_lies(left):
    image = Image.new("RGB", (6, 6))
    draw_box(image, left, left, 1, 1, "#ffffff")
    assert sum(pixel != (0, 0, 0) for pixel in image.getdata()) == 1


def test_action_bars_reach_from_the_middle_to_the_value(walk):
    _, spaces, episode = walk
    actions = np.array([[1.0, -0.5, 0.0, 0.25]], np.float32)
    series = {**episode.series, **{name: np.repeat(actions[0, i], episode.length)
                                   for i, name in enumerate(episode.action_names)}}
    panel = Actions(scene_of(dataclasses.replace(episode, series=series), spaces), 600, 1.0)
    image = drawn(panel, 0)
    middle_row = image[29]
    for i, value in enumerate(actions[0]):
        left, width = panel.left(i), panel.bar[0]
        filled = where(middle_row[left:left + width], LIMBS[i // 2])[0]
        assert len(filled) == pytest.approx(abs(value) * width / 2, abs=2)
        if value:
            assert (filled.mean() > width / 2) == (value > 0)


def test_contact_lights_show_the_contacts_of_their_leg(walk):
    _, spaces, episode = walk
    panel = Actions(scene_of(episode, spaces), 600, 1.0)
    pairs = {(bool(episode["contact_1"][t]), bool(episode["contact_2"][t])) for t in range(episode.length + 1)}
    assert len(pairs) >= 3
    for t in range(episode.length + 1):
        image = drawn(panel, t)[:, panel.lights_at:]
        for leg, name in enumerate(("contact_1", "contact_2")):
            assert bool(len(where(image, LIMBS[leg])[0])) == bool(episode[name][t])


def test_traces_end_at_the_present_value_and_show_nothing_that_is_to_come(walk):
    _, spaces, episode = walk
    panel = Traces(scene_of(episode, spaces), 600, 1.0)
    assert [group.title for group in panel.groups] == ["hip angle", "knee angle", "value estimate"]
    assert [list(group.series) for group in panel.groups][:2] == \
        [["hip_1_angle", "hip_2_angle"], ["knee_1_angle", "knee_2_angle"]]
    left = panel.left(2)
    plot = drawn(panel, 10)[20:20 + panel.plot[1], left:left + panel.plot[0]]
    rows, columns = where(plot, SINGLE)
    assert columns.min() >= panel.plot[0] - (10 + 1) * panel.pixels - 8
    low, high = panel.ranges[2]
    at = panel.plot[1] * (high - float(episode["value"][10])) / (high - low)
    assert rows[columns >= columns.max() - 3].mean() == pytest.approx(at, abs=2.5)


def test_numbers_are_the_telemetrys(walk):
    _, spaces, episode = walk
    panel = Numbers(scene_of(episode, spaces), 600, 1.0)
    t = episode.length
    shown_numbers = {label: text_of(values[t], decimals, 8, flags)
                     for label, (decimals, flags, values) in panel.numbers.items()}
    assert shown_numbers == {"return": f"{episode.total_return:.2f}", "step": str(t), "time (s)": f"{t / 50:.2f}",
                             "velocity x (m/s)": f"{episode['velocity_x'][t]:.2f}",
                             "reward": f"{episode['reward'][-1]:+.2f}"}
    assert all(len(values) == t + 1 for _, _, values in panel.numbers.values())
    narrow = Numbers(scene_of(episode, spaces), 300, 1.0)
    assert list(narrow.numbers) == ["return", "velocity x (m/s)", "time (s)"]


@pytest.mark.parametrize(("width", "lines"), [(240, 2), (320, 2), (480, 1), (600, 1)])
def test_a_long_name_gives_way_and_the_checkpoint_is_always_said(walk, monkeypatch, width, lines):
    """Side by side are often two checkpoints of one run."""
    _, spaces, episode = walk
    said = []
    monkeypatch.setattr(panels, "draw_text", lambda image, x, y, text, *look: said.append(text))
    name = "a_run_with_a_long_name_" * 4
    caption = Caption(scene_of(episode, spaces, caption=(name, "generation 12", "1.25M steps", "score 47.3")), width, 1)
    drawn(caption, 0)
    assert caption.lines == lines
    line = next(text for text in said if text.startswith("a_run"))
    assert "… · generation 12" in line and "1.25M steps" in " ".join(said)
    room = width - 2 * caption.pad - (0 if lines == 2 else caption.pad + text_width("score 47.3", caption.middle))
    assert text_width(line, caption.middle) <= room


def test_an_action_says_its_unit_where_there_is_room(walk):
    _, spaces, episode = episode_of("Pendulum-v1", random_actions("Pendulum-v1"))
    action = choices.actions(episode, spaces)[0]
    assert Actions(scene_of(episode, spaces), 600, 1.0)._label(action, 580) == "torque N m"
    assert Actions(scene_of(episode, spaces), 600, 1.0)._label(action, 100) == "torque"


@pytest.mark.parametrize(("env_id", "groups", "labels"), [
    ("CartPole-v1", ["pole angle", "cart velocity", "value estimate"], ["left", "right"]),
    ("Pendulum-v1", ["speed", "cos angle", "value estimate"], ["torque"]),
    ("LunarLander-v3", ["angle", "velocity", "value estimate"], ["none", "left", "main", "right"]),
    ("Acrobot-v1", ["speed", "cos angle", "value estimate"], ["-1", "0", "+1"]),
])
def test_other_environments_get_their_own_panels(env_id, groups, labels):
    environment, spaces, episode = episode_of(env_id, random_actions(env_id))
    assert [group.title for group in choices.traces(episode)] == groups
    assert [action.label for action in choices.actions(episode, spaces)] == labels
    environment.reset(seed=0)
    picture = environment.render()
    overlay = Overlay(scene_of(episode, spaces), picture.shape[1::-1], free_share([episode]), PANELS, 600, 1.0)
    frame = overlay(picture, 3)
    assert frame.shape[:2] == overlay.size[::-1] and overlay.size[0] == 600 and overlay.size[1] % 2 == 0
    _, top, _, bottom = overlay.window
    assert (bottom - top) == overlay.picture[1]  # nothing of it is covered


class Mystery(gymnasium.Env):
    """Nobody described it; its picture is wide and odd."""

    observation_space = gymnasium.spaces.Box(-1, 1, (3,))
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (12,))
    metadata = {"render_modes": ["rgb_array"]}
    shape = (31, 57, 3)
    dtype = np.uint8

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.zeros(3, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.full(3, self.t / 10, np.float32), float(np.sum(action)), self.t == 7, False, {}

    def render(self):
        return np.full(self.shape, 200, self.dtype)


def test_an_environment_chooses_its_traces_and_channels_that_a_file_lacks_are_left_out():
    class Chosen(Mystery):
        channels = Channels({"a_1": "m", "b": "V", "c": "A"}, traces=["b", ("a_1", "c"), "a_1"])

    environment = Chosen("rgb_array")
    episode = record_episode(environment, describe(Chosen), lambda obs: np.full((1, 12), 0.5, np.float32),
                             lambda obs: np.zeros(len(obs), np.float32), 0, "custom:Chosen")
    assert [(group.title, group.unit, group.series) for group in choices.traces(episode)] == [
        ("b", "V", ("b",)), ("a, c", "m", ("a_1", "c")), ("value estimate", "", ("value",))]
    fewer = dataclasses.replace(episode, series={name: values for name, values in episode.series.items()
                                                 if name not in ("b", "c")})
    assert [group.series for group in choices.traces(fewer)] == [("a_1",), ("a_1",), ("value",)]


def test_an_unknown_environment_gets_the_generic_panels(tmp_path):
    environment = Mystery("rgb_array")
    spaces = describe(Mystery)
    episode = record_episode(environment, spaces, lambda obs: np.full((1, 12), 0.5, np.float32),
                             lambda obs: np.full(len(obs), np.nan, np.float32), 0, "custom:Mystery")
    assert [group.title for group in choices.traces(episode)] == ["observation"]
    actions = choices.actions(episode, spaces)
    assert len(actions) == choices.MOST_ACTIONS and actions[0].low == -0.5 and actions[0].high == 0.5
    overlay = Overlay(scene_of(episode, spaces), (57, 31), (0, 0), PANELS, 600, 1.0)
    frames = [overlay(environment.render(), t).copy() for t in replay(environment, episode)]
    assert len(frames) == 8 and all((frame[overlay.window[1] + 5, 300] == 200).all() for frame in frames)


# ---- nothing covers the walker -------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "BipedalWalkerHardcore-v3"])
@pytest.mark.parametrize("width", [480, 600, 960])
def test_the_walker_is_never_covered(env_id, width):
    environment, spaces, episode = episode_of(env_id, random_actions(env_id), seed=2)
    overlay = Overlay(scene_of(episode, spaces), (600, 400), free_share([episode]), PANELS, width, width / 600)
    left, top, right, bottom = overlay.window
    zoom = width / 600
    first = overlay._seen.start / zoom
    hull = np.array([127, 51, 229])
    for t in replay(environment, episode):
        if t % 20 and t != episode.length:
            continue
        picture = environment.render()
        rows = where(picture, hull)[0]
        limbs = [color for body in environment.unwrapped.legs for color in (body.color1,)]
        rows = np.r_[rows, *[where(picture, np.array(color))[0] for color in limbs]]
        assert len(rows) > 300
        assert first < rows.min() and rows.max() < first + (bottom - top) / zoom
        frame = overlay(picture, t)
        if width == 600:
            assert np.array_equal(frame[top:bottom, left:right], picture[overlay._seen])


def test_a_subject_that_comes_under_a_strip_makes_the_picture_give_way(walk):
    _, spaces, episode = walk
    high = dataclasses.replace(episode, poses=episode.poses + np.array([0, 6, 0], np.float32))
    usual, raised = (Overlay(scene_of(one, spaces), (600, 400), free_share([one]), PANELS, 600, 1.0)
                     for one in (episode, high))
    assert usual.size == (600, 400)
    assert raised.size[1] > 400 and raised._seen.start < usual._seen.start
    assert Overlay(scene_of(episode, spaces), (600, 400), free_share([episode]), (), 600, 1.0).size == (600, 400)


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "LunarLander-v3"])
@pytest.mark.parametrize("width", [240, 320, 380, 420, 480, 600])
def test_no_letters_stand_over_others(env_id, width, monkeypatch):
    _, spaces, episode = episode_of(env_id, random_actions(env_id), seed=2, values=lambda obs: obs[:, 0] - 12)
    boxes = []

    def noted(image, x, y, string, size, color, anchor="left"):
        left = x - {"left": 0, "center": 0.5, "right": 1}[anchor] * text_width(string, size)
        boxes.append((left, y, left + text_width(string, size), y + capital_height(size), string))

    monkeypatch.setattr("colab_rl.views.video.panels.draw_text", noted)
    for kind in PANELS.values():
        overlay = Overlay(scene_of(episode, spaces), (600, 400), (0, 0), (), width, width / 600)
        panel = kind(scene_of(episode, spaces), width, overlay.scale)
        if not panel.height:
            continue
        boxes.clear()
        drawn(panel, episode.length)
        for i, one in enumerate(boxes):
            assert one[0] >= 0 and one[2] <= width and one[3] <= panel.height, one
            for other in boxes[:i]:
                assert one[2] <= other[0] or other[2] <= one[0] or one[3] < other[1] or other[3] < one[1], (one, other)


def test_panels_can_be_chosen():
    assert parse_panels("all") == tuple(PANELS) and parse_panels("none") == ()
    assert parse_panels("actions, caption") == ("caption", "actions")
    with pytest.raises(UsageError, match="did you mean 'traces'"):
        parse_panels("trace")


# ---- files ---------------------------------------------------------------------------------------------------------


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
    from PIL import Image

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


# ---- render --------------------------------------------------------------------------------------------------------


def test_the_film_is_the_evaluations_own_episode(here):
    for seed in (0, 7):
        video = render("walker", seed=seed, seconds=0.4)
        expected = evaluate("walker", episodes=1, seed=seed).returns[0]
        assert list(video.returns.values()) == [expected]
        assert record("walker", seed=seed).total_return == expected
    said, frames = probe(video.path)
    assert video.path.parent == here / "runs" / "walker" / "videos"
    assert (frames, video.frames, video.fps, video.size) == (21, 21, 50, (600, 400))
    words = json.loads(re.search(r"comment +: (.*)", said)[1])["colab_rl"]
    assert words["returns"] == video.returns and words["seed"] == 7 and words["form"] == "episode"


def test_a_whole_episode_has_a_frame_for_every_state(here):
    video = render("pole", out=here / "new" / "pole.mp4", size=480)
    score = evaluate("pole", episodes=3)
    assert video.seed == np.argsort(score.returns, kind="stable")[1]  # the median of those of the run's score
    length = score.lengths[video.seed]
    assert probe(video.path)[1] == video.frames == length + 1
    faster = render("pole", out=here / "faster.gif", speed=4)
    assert faster.frames == -(-length // 8) + 1 and faster.fps == 25 and faster.size[0] == 480


def test_repeated_actions_are_filmed_picture_by_picture(tmp_path):
    """A step of three pictures shows all three; an episode that ends amid a step waits in its last picture."""
    options = {"root": tmp_path, "store": "none"}
    train("pole", env="CartPole-v1", total_steps=256, settings={
        **parse_settings(TINY), "wrappers": ["RepeatAction(num_repeats=3)"], "eval_every": 100}, **options)
    video = render("pole", seed=3, size=480, **options)
    steps = evaluate("pole", episodes=1, seed=3, **options).lengths[0]
    assert video.frames == 3 * steps + 1 and video.fps == 50
    faster = render("pole", seed=3, size=480, speed=8, **options)  # steps without a frame are between
    assert faster.frames == probe(faster.path)[1] == -(-3 * steps // 7) + 1
    source = configured("CartPole-v1", {}, ["RepeatAction(num_repeats=3)"])
    with contextlib.closing(Camera(source)) as camera, contextlib.closing(Camera("CartPole-v1")) as single:
        camera.environment.reset(seed=3), single.environment.reset(seed=3)
        assert np.array_equal(camera.pictures(0), single.pictures(0))
        ends, ended, t = [False], False, 0
        while not ended:  # it falls after nine steps or so
            ended, t = camera.environment.step(1)[2], t + 1
            expected = []
            for _ in range(3):
                if not ends[-1]:
                    ends.append(single.environment.step(1)[2])
                    expected += single.pictures(t)
            assert np.array_equal(camera.pictures(t), [*expected, *expected[-1:] * (3 - len(expected))])
        assert ends[-1] and len(ends) % 3 != 1  # the last step was not whole
        camera.environment.step(1)  # whose pictures nobody takes
        camera.environment.reset(seed=4), single.environment.reset(seed=4)
        assert np.array_equal(camera.pictures(0), single.pictures(0))


def test_a_reports_film_is_as_fast_as_the_channels_say(tmp_path):
    """An environment that names the seconds of a step, and no frames a second."""
    class Slow(CartPoleEnv):
        metadata = {"render_modes": ["rgb_array"]}
        channels = dataclasses.replace(classic.CART_POLE, step_seconds=0.1)

    options = {"root": tmp_path, "store": "none"}
    train("slow", env=Slow, total_steps=64, settings={**parse_settings(TINY), "eval_every": 100}, **options)
    episode = record("slow", env=Slow, seed=0, **options)
    films = films_of(*checkpoint_of("slow", Places(tmp_path, "none")), Slow, {"one": episode}, None)
    path = tmp_path / "film.mp4"
    path.write_bytes(films.films[0][1])
    assert re.search(r" 10 fps", probe(path)[0])


def test_an_environment_whose_own_wrappers_step_and_render_is_filmed_as_they_render_it(tmp_path):
    class Starts(gymnasium.Wrapper):
        """Takes two steps of its own before an episode, and shows the lower half."""

        def reset(self, **options):
            found = self.env.reset(**options)
            for _ in range(2):
                self.env.step(0)
            return found

        def render(self):
            return self.env.render()[200:]

    def make(render_mode=None):
        return Starts(gymnasium.make("CartPole-v1", render_mode=render_mode))

    with contextlib.closing(Camera(configured(make, {}, ["RepeatAction(2)", "TimeLimit(50)"]))) as camera:
        camera.environment.reset(seed=0)
        assert [picture.shape for picture in camera.pictures(0)] == [(200, 600, 3)]
        camera.environment.step(1)
        assert [picture.shape for picture in camera.pictures(1)] == [(200, 600, 3)] * 2


def test_the_store_gets_a_verified_copy(here):
    video = render("pole", store=here / "store", seconds=0.2)
    copy = here / "store" / "pole" / "videos" / video.path.name
    assert (video.store, video.store_state) == (str(copy), "verified") and copy.read_bytes() == video.path.read_bytes()
    elsewhere = render("pole", store=here / "store", seconds=0.2, root=here / "bare", out=here / "x.mp4")
    assert elsewhere.store == str(copy)  # the same film of a machine that has only the store
    assert not (here / "bare" / "pole" / "videos").exists()


def test_a_store_that_takes_no_copy_keeps_the_film_and_says_so(here, capsys):
    (here / "store" / "pole" / "videos").write_text("a file where a folder should be")
    assert main(["render", "pole", "--seconds", "0.2", "--store", str(here / "store")]) == 1
    output, errors = capsys.readouterr()
    path = Path(output.split(":")[0])
    assert probe(path)[1] == 11
    line = errors.splitlines()[-1]
    assert line.startswith("error: the video is whole here") and "could not be written" in line


def test_compare_shows_one_seed_side_by_side(here):
    video = render("pole", form="compare", seed=4)
    first, best = (evaluate("pole", checkpoint=which, episodes=1, seed=4) for which in (1, "best"))
    assert list(video.returns.values()) == [first.returns[0], best.returns[0]]
    assert video.frames == max(first.lengths[0], best.lengths[0]) + 1
    assert video.size[0] == 960
    left, right = np.split(decoded(video.path)[0], 2, axis=1)
    assert np.abs(left[-150:-60].astype(int) - right[-150:-60]).mean() < 3  # both begin alike
    four = render("pole", form="compare", against=["pole:1", "pole:2", "pole:latest"], seconds=0.1)
    assert four.size[1] > 1.5 * video.size[1] and four.frames == 6


def test_evolution_goes_from_the_first_checkpoint_to_the_best(here):
    video = render("pole", form="evolution", seconds=0.1)
    generations = [int(name.split(":")[1]) for name in video.returns]
    assert generations[0] == 1 and generations == sorted(set(generations)) and 2 <= len(generations) <= 6
    assert video.frames == 6 * len(generations)


def test_a_damaged_checkpoint_is_left_out_of_evolution_and_refused_by_name(here, capsys):
    damaged = sorted((here / "runs" / "pole" / "checkpoints").glob("*.safetensors"))[0]
    flip(damaged, 500)
    with pytest.raises(ColabRLError, match="generation 1 cannot be used"):
        render("pole", checkpoint=1)
    assert "pole:1" not in render("pole", form="evolution", seconds=0.1).returns
    assert "left out: generation 1" in capsys.readouterr().err


def test_an_episode_that_does_not_repeat_is_not_shown():
    environment, _, episode = episode_of("BipedalWalker-v3", random_actions("BipedalWalker-v3"))
    reward = episode["reward"].copy()
    reward[3] += 1e-12
    other = dataclasses.replace(episode, series={**episode.series, "reward": reward})
    with pytest.raises(EnvironmentFault, match="does not repeat"):
        list(replay(environment, other))


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["nobody"], 2, "no run 'nobody'"),
    (["pole", "--form", "episod"], 2, "did you mean 'episode'"),
    (["pole", "--checkpoint", "99"], 2, "generation 99 not found; available: 1, "),
    (["pole", "--checkpoint", "first"], 2, "checkpoint is best, latest or a generation's number"),
    (["pole", "--overlay", "numbrs"], 2, "did you mean 'numbers'"),
    (["pole", "--size", "601"], 2, "600 or 602"),
    (["pole", "--size", "8"], 2, "between 240 and 3840"),
    (["pole", "--speed", "0"], 2, "speed must be"),
    (["pole", "--speed", "nan"], 2, "speed must be"),
    (["pole", "--seconds", "inf"], 2, "seconds must be"),
    (["pole", "--seed", "-1"], 2, "seed must be"),
    (["pole", "--out", "there.mp4"], 1, "there.mp4 exists already; nothing was changed"),
    (["pole", "--out", "film.avi"], 2, "neither .mp4 nor .gif"),
    (["pole", "--out", "film.mp4", "--gif"], 2, "leave one of them out"),
    (["pole", "--out", "runs.mp4/x.mp4"], 1, "cannot be written"),
    (["pole", "--out", "folder.mp4"], 2, "is a folder"),
    (["pole", "--out", "x" * 252 + ".mp4"], 2, "has 256 bytes, and a file's name has 255 at most"),
    (["pole", "--out", "é" * 126 + ".gif"], 2, "has 256 bytes, and a file's name has 255 at most"),
    (["pole", "--out", "x" * 256 + "/film.mp4"], 2, "has 256 bytes, and a file's name has 255 at most"),
    (["pole", "--out", ".mp4"], 2, "neither .mp4 nor .gif"),
    (["pole", "--against", "pole:1"], 2, "--form compare"),
    (["pole", "--form", "compare", "--against", "walker"], 2, "only runs on one environment"),
    (["pole", "--form", "compare", "--against", "a", "b", "c", "d"], 2, "at most 4"),
])
def test_bad_input_is_one_line_and_changes_nothing(here, capsys, arguments, code, words):
    (here / "there.mp4").write_bytes(b"a film")
    (here / "runs.mp4").write_bytes(b"a file")
    (here / "folder.mp4").mkdir()
    before = snapshot(here)
    assert main(["render", *arguments]) == code
    output, errors = capsys.readouterr()
    assert output == "" and len(errors.splitlines()) == 1 and words in errors and errors.startswith("error: ")
    assert snapshot(here) == before


def test_a_file_is_replaced_where_that_was_asked_for(here, capsys):
    (here / "there.mp4").write_bytes(b"a film")
    assert main(["render", "pole", "--out", "there.mp4", "--overwrite", "--seconds", "0.1", "--json"]) == 0
    output, errors = capsys.readouterr()
    assert json.loads(output)["path"] == "there.mp4" and json.loads(output)["frames"] == 6
    assert "there.mp4" in errors and "will be replaced" in errors
    assert probe(here / "there.mp4")[1] == 6


def test_the_home_folder_is_meant_where_no_shell_says_so(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    assert render("pole", out="~/film.mp4", seconds=0.1).path == here / "home" / "film.mp4"
    assert (here / "home" / "film.mp4").is_file() and not (here / "~").exists()


@pytest.mark.parametrize("name", ["-50%d [1]*?.MP4", "party 🎉 a#b?c.Gif", "x" * 251 + ".mp4"])
def test_the_command_makes_a_film_under_any_name_and_copies_it(here, capsys, name):
    options = ["--seconds", "0.1", "--store", str(here / "store"), "--json"]
    assert main(["render", "pole", f"--out={name}", *options]) == 0
    video = json.loads(capsys.readouterr()[0])
    assert video["path"] == name and (here / name).read_bytes() == Path(video["store"]).read_bytes()


def test_a_run_without_a_checkpoint_says_so(here):
    for folder in ("checkpoints", "metrics"):  # a run that was only begun has neither
        shutil.rmtree(here / "runs" / "pole" / folder)
    with pytest.raises(ColabRLError, match="has no checkpoint yet"):
        render("pole")


@pytest.mark.parametrize(("metadata", "fps"), [
    (None, 30), ({}, 30), ([], 30), *(({"render_fps": told}, 30) for told in (
        None, 0, -4, np.nan, np.inf, 1e300, 1e-300, "fast", [60])),
    ({"render_fps": 4}, 4), ({"render_fps": np.int64(50)}, 50), ({"render_fps": np.float32(12.5)}, 12.5)])
def test_an_environment_may_say_anything_of_its_pace(metadata, fps):
    class Told(Mystery):
        pass

    Told.metadata = metadata
    with contextlib.closing(Camera(Told)) as camera:
        assert camera.fps == fps
    for speed in (0.05, 1, 50):
        stride, shown = stride_and_fps(fps, speed, ".mp4")
        assert stride >= 1 and 0.05 <= shown <= 60


def test_an_environment_that_does_not_render_says_so(here):
    class Blind(Mystery):
        metadata = {"render_modes": []}

        def __init__(self):
            super().__init__()

    class Odd(CartPoleEnv):
        def render(self):
            return [[0]]

    class Broken(CartPoleEnv):
        def render(self):
            raise RuntimeError("no colours")

    with pytest.raises(EnvironmentFault, match=r"Blind does not render as rgb_array; nothing was written"):
        make_environment(Blind, render_mode="rgb_array")
    with pytest.raises(EnvironmentFault, match=r"give env=a function that makes it with render_mode='rgb_array'"):
        make_environment(lambda: gymnasium.make("CartPole-v1"), render_mode="rgb_array")
    assert make_environment(Mystery, render_mode="rgb_array").render_mode == "rgb_array"
    with pytest.raises(EnvironmentFault, match="gives no"):
        render("pole", env=Odd)
    with pytest.raises(EnvironmentFault, match="Broken failed: RuntimeError: no colours"):
        render("pole", env=Broken)


@pytest.mark.parametrize("missing", ["ffmpeg", "moviepy"])
def test_what_is_missing_is_named(here, missing):
    (here / "shadow").mkdir()
    if missing == "moviepy":
        (here / "shadow" / "moviepy.py").write_text("raise ImportError('No module named moviepy')")
    else:
        (here / "shadow" / "imageio_ffmpeg.py").write_text(
            "def get_ffmpeg_exe():\n    raise RuntimeError('No ffmpeg exe could be found.')\n"
            "def get_ffmpeg_version(): return ''\n")
    path = os.pathsep.join([str(here / "shadow"), str(Path(__file__).parents[2])])
    done = subprocess.run([sys.executable, "-m", "colab_rl", "render", "pole"], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}, timeout=120)
    assert done.returncode == 1 and "Traceback" not in done.stderr and done.stdout == ""
    assert {"ffmpeg": "no FFmpeg is found", "moviepy": "pip install moviepy"}[missing] in done.stderr.splitlines()[-1]


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
