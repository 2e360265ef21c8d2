"""`render`: the film is the evaluation's own episode, and bad input is one line."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from films import Mystery, decoded, episode_of, probe, random_actions
from gymnasium.envs.classic_control.cartpole import CartPoleEnv
from helpers import TINY, changed, flip, snapshot

from colab_rl import ColabRLError, evaluate, record, render, train
from colab_rl.cli import main
from colab_rl.environments import make_environment
from colab_rl.environments.known import classic
from colab_rl.environments.make import configured
from colab_rl.errors import EnvironmentFault, UsageError
from colab_rl.evaluation.replay import replay
from colab_rl.progress import progress_bar
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.training.request import checkpoint_of
from colab_rl.views.report import films
from colab_rl.views.report.films import films_of
from colab_rl.views.video import film
from colab_rl.views.video.reels import Camera, stride_and_fps

pytestmark = pytest.mark.usefixtures("one_core")


@pytest.fixture(scope="module")
def trained(one_core, tmp_path_factory):
    """Runs `walker` on BipedalWalker and `pole` on CartPole, with several checkpoints, and `pole` in a store."""
    folder = tmp_path_factory.mktemp("filmed")
    (folder / "store").mkdir()
    for run, env, store in (("walker", "BipedalWalker-v3", "none"), ("pole", "CartPole-v1", folder / "store")):
        assert main(["train", run, "--env", env, "--algo", "ppo", "--backend", "gymnasium",
                     "--root", str(folder / "runs"), "--store", str(store), "--total-steps", "300",
                     "--set", *changed(TINY, "keep_every=1")]) == 0
    return folder


@pytest.fixture
def here(tmp_path, trained, monkeypatch):
    """A copy of it, where commands find it."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLAB_RL_ROOT", str(tmp_path / "runs"))
    monkeypatch.setenv("COLAB_RL_STORE", "none")
    return tmp_path


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
    path = tmp_path / "film.mp4"
    made = films_of(*checkpoint_of("slow", Places(tmp_path, "none")), Slow, {"one": episode}, None)
    path.write_bytes(made.films[0][1])
    assert re.search(r" 10 fps", probe(path)[0])
    video = render("slow", env=Slow, seed=0, seconds=0.5, **options)
    assert (video.fps, video.frames) == (10, 6)


def test_the_bar_of_a_reports_films_counts_frames(tmp_path, monkeypatch):
    options, bars = {"root": tmp_path, "store": "none"}, []
    monkeypatch.setattr(films, "progress_bar", lambda *words, **options: bars.append(
        progress_bar(*words, **options)) or bars[-1])
    train("odd", env=Mystery, total_steps=64, settings={**parse_settings(TINY), "eval_every": 100}, **options)
    episode = record("odd", env=Mystery, seed=0, **options)
    films_of(*checkpoint_of("odd", Places(tmp_path, "none")), Mystery, {"one": episode, "other": episode}, None)
    [bar] = bars
    assert bar.n == bar.total == 2 * 5 and bar.unit == "frame"  # 5 of the 8 pictures: players show 25 a second


def test_a_film_is_in_real_time_even_if_the_environment_names_another_pace(tmp_path):
    """Pendulum names 30 frames a second, and its step is 0.05 s."""
    options = {"root": tmp_path, "store": "none"}
    train("swing", env="Pendulum-v1", algo="ppo", total_steps=64, settings={
        **parse_settings(TINY), "eval_every": 100}, **options)
    video = render("swing", seed=0, seconds=1, **options)
    assert (video.fps, video.frames, video.seconds) == (20, 21, 1.05)
    assert render("swing", seed=0, seconds=1, speed=2, **options).fps == 40


def test_a_long_episode_is_faster_in_a_report_even_if_a_step_is_no_time(tmp_path, monkeypatch):
    options = {"root": tmp_path, "store": "none"}
    train("odd", env=Mystery, total_steps=64, settings={**parse_settings(TINY), "eval_every": 100}, **options)
    episode, found = record("odd", env=Mystery, seed=0, **options), checkpoint_of("odd", Places(tmp_path, "none"))
    path = tmp_path / "film.mp4"
    for longest, fps in ((20.0, "15"), (0.1, "23.33")):  # of 7 pictures, which take 0.23 s
        monkeypatch.setattr(films, "LONGEST", longest)
        path.write_bytes(films_of(*found, Mystery, {"one": episode}, None).films[0][1])
        assert f" {fps} fps" in probe(path)[0]


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


def test_two_comparisons_have_two_names(here):
    names = [render("pole", form="compare", checkpoint=which, seed=0, seconds=0.1).path.name for which in (2, 3)]
    assert names[0].startswith("pole-2-compare-seed0-") and names[1].startswith("pole-3-compare-seed0-")
    beside = render("pole", form="compare", checkpoint=2, against=["pole:3"], seconds=0.1)
    assert beside.path.name.startswith("pole-2-compare")


def test_runs_are_compared_only_if_their_environments_are_made_alike(here):
    for run, how in (("given", {"env_kwargs": {"sutton_barto_reward": True}}), ("repeats", {})):
        train(run, env="CartPole-v1", total_steps=64, settings={
            **parse_settings(TINY), "eval_every": 100, **({} if how else {"wrappers": ["RepeatAction(2)"]})}, **how)
    with pytest.raises(UsageError, match="given is on CartPole-v1 sutton_barto_reward=true and pole on CartPole-v1: "):
        render("pole", form="compare", against=["given"])
    with pytest.raises(UsageError, match=r"repeats is on CartPole-v1 in RepeatAction\(2\) and pole on CartPole-v1: "):
        render("pole", form="compare", against=["repeats"])


def test_a_gif_is_cut_to_the_frames_that_it_may_have_if_nobody_gave_its_length(here, monkeypatch, capsys):
    most, whole = 24, render("pole", form="evolution", gif=True)
    monkeypatch.setattr(film, "MOST_GIF_FRAMES", most)
    cut = render("pole", form="evolution", gif=True, overwrite=True)
    count = len(cut.returns)
    assert whole.frames > cut.frames == most // count * count
    assert cut.path == whole.path
    assert f"it shows {(most // count - 1) / 25:.1f} s of each episode" in capsys.readouterr().err
    assert render("pole", form="compare", gif=True).frames == most
    with pytest.raises(UsageError, match="as a GIF this has"):
        render("pole", form="evolution", gif=True, seconds=6)


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
        assert camera.render_fps == fps
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


def test_pygame_looks_for_no_sound_card(monkeypatch):
    """Without one, ALSA writes lines about it to standard error."""
    monkeypatch.delenv("SDL_AUDIODRIVER", raising=False)
    Camera("CartPole-v1").close()
    assert os.environ["SDL_AUDIODRIVER"] == "dummy"
    monkeypatch.setenv("SDL_AUDIODRIVER", "disk")  # what a person sets stays
    Camera("CartPole-v1").close()
    assert os.environ["SDL_AUDIODRIVER"] == "disk"
