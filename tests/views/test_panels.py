"""What is drawn over a film: its panels show the telemetry, and nothing covers the walker."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from films import Mystery, episode_of, random_actions, where
from PIL import Image

from colab_rl import Channels, UsageError
from colab_rl.environments import describe
from colab_rl.evaluation.episode import from_npz, to_npz
from colab_rl.evaluation.replay import record_episode, replay
from colab_rl.views.values import text_of
from colab_rl.views.video import choices, panels
from colab_rl.views.video.drawing import capital_height, curve, draw_box, draw_text, font, text_width
from colab_rl.views.video.overlay import Overlay, free_share, parse_panels
from colab_rl.views.video.panels import (
    BACKGROUND,
    LIMB_COLORS,
    PANELS,
    SINGLE,
    Actions,
    Caption,
    Numbers,
    Scene,
    Traces,
)
from colab_rl.views.video.takes import _count

pytestmark = pytest.mark.usefixtures("one_core")


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
        filled = where(middle_row[left:left + width], LIMB_COLORS[i // 2])[0]
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
            assert bool(len(where(image, LIMB_COLORS[leg])[0])) == bool(episode[name][t])


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


@pytest.mark.parametrize("height, free", [(0, (0, 0)), (10, (0.58, 0.18))])
def test_an_environment_of_your_own_says_how_high_its_picture_is(walk, height, free):
    episode = dataclasses.replace(walk[2], outlines={"load": np.array([(0.0, -1), (0, 1)])},
                                  poses=np.tile(np.float32([5, 3, 0]), (walk[2].length + 1, 1, 1)),
                                  shown=Channels({"load": "m"}, picture_height=height).shown)
    episode, = from_npz(to_npz([episode]))
    assert free_share([episode]) == pytest.approx(free)


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


def test_a_number_of_steps_is_short():
    assert [_count(steps) for steps in (950, 9_999, 12_000, 999_499, 999_600, 1_250_000)] == [
        "950", "9,999", "12k", "999k", "1.00M", "1.25M"]
