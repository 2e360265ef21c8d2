"""Metrics tables come back as they were, and TensorBoard shows the whole history once."""

from __future__ import annotations

import math
import resource
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from colab_rl.training.metrics import from_csv, to_csv
from colab_rl.training.tensorboard import TensorBoardView


def make_rows(first: int, last: int, line: int = 0) -> list[dict[str, float]]:
    return [{"iteration": i, "step": 64 * i, "seconds": 0.5 * i, "loss/policy": 1 / i + line,
             **({"evaluation/score": -10.0 * i} if i % 2 == 0 else {})} for i in range(first, last + 1)]


def test_rows_come_back_as_they_were():
    rows = make_rows(1, 5)
    assert from_csv(to_csv(rows)) == rows


def test_every_kind_of_number_comes_back():
    values = [0.0, 1.0, -3.0, 0.1, 1e-300, 1e300, 2.0**53 + 2, float(2**63), math.inf, -math.inf, math.pi]
    rows = [{"iteration": 1, "step": 10**12, "seconds": 1e6 / 3, **{f"x{i}": value for i, value in enumerate(values)}}]
    assert from_csv(to_csv(rows)) == rows
    assert math.isnan(from_csv(to_csv([{"iteration": 1, "step": 1, "seconds": 1, "x": math.nan}]))[0]["x"])


def test_a_table_begins_with_the_leading_columns_and_ends_lines_the_same_everywhere():
    table = to_csv([{"b": 2, "a": 1.5, "seconds": 3, "step": 2, "iteration": 1}, {"iteration": 2, "step": 4,
                                                                                "seconds": 5.25}])
    assert table == b"iteration,step,seconds,a,b\n1,2,3,1.5,2\n2,4,5.25,,\n"


def test_an_empty_table_comes_back():
    assert from_csv(to_csv([])) == []


@pytest.mark.parametrize("data", [
    b"", b"\n", b"a,b\n1,2\n", b"\xff\xfe\x00", b"iteration,step\n1,2\n", b"iteration,step,seconds\n1,two,3\n",
    b"iteration,step,seconds\n1,2,3,4\n", b"iteration,step,seconds\n1\r2,2,3\n", b"<html>502 Bad Gateway</html>",
], ids=repr)
def test_a_bad_table_is_a_value_error(data):
    with pytest.raises(ValueError):
        from_csv(data)


def curve(shown: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    shown.Reload()
    return [(event.step, pytest.approx(event.value)) for event in shown.Scalars(tag)]


def expected(rows: list[dict[str, float]], tag: str) -> list[tuple[int, float]]:
    return [(row["step"], row[tag]) for row in rows if tag in row]


def show(folder) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance={"scalars": 0})


@pytest.mark.parametrize("tag", ["loss/policy", "evaluation/score"])
def test_tensorboard_shows_history_and_what_is_added(tmp_path, tag):
    view = TensorBoardView(tmp_path / "tb", make_rows(1, 4))
    for row in make_rows(5, 6):
        view.add(row)
    shown = show(tmp_path / "tb")
    assert curve(shown, tag) == expected(make_rows(1, 6), tag)
    view.add(make_rows(8, 8)[0])
    view.close()
    assert curve(shown, tag) == expected([*make_rows(1, 6), *make_rows(8, 8)], tag)


def test_the_columns_that_place_a_row_are_no_curves(tmp_path):
    TensorBoardView(tmp_path / "tb", make_rows(1, 2)).close()
    shown = show(tmp_path / "tb")
    shown.Reload()
    assert sorted(shown.Tags()["scalars"]) == ["evaluation/score", "loss/policy"]
    assert [event.wall_time for event in shown.Scalars("loss/policy")] == [1.0, 1.0]


def test_numbers_that_are_not_finite_are_left_out(tmp_path):
    rows = [{"iteration": 1, "step": 1, "seconds": 1, "x": math.nan, "y": 2.0},
            {"iteration": 2, "step": 2, "seconds": 2, "x": math.inf, "y": 3.0}]
    TensorBoardView(tmp_path / "tb", rows).close()
    shown = show(tmp_path / "tb")
    assert curve(shown, "y") == [(1, 2.0), (2, 3.0)]
    assert shown.Tags()["scalars"] == ["y"]


@pytest.mark.parametrize("tag", ["loss/policy", "evaluation/score"])
def test_lost_work_that_is_done_again_is_shown_once(tmp_path, monkeypatch, tag):
    """Also by a TensorBoard that was open on the folder all the time."""
    first = TensorBoardView(tmp_path / "tb", make_rows(1, 8))
    open_before = show(tmp_path / "tb")
    assert curve(open_before, tag) == expected(make_rows(1, 8), tag)
    now = time.time  # the name of an event file begins with the second: the next session comes later
    monkeypatch.setattr(time, "time", lambda: now() + 2)
    second = TensorBoardView(tmp_path / "tb", make_rows(1, 5))  # 6 to 8 were lost
    for row in make_rows(6, 7, line=1):
        second.add(row)
    history = [*make_rows(1, 5), *make_rows(6, 7, line=1)]
    assert curve(show(tmp_path / "tb"), tag) == expected(history, tag)
    assert curve(open_before, tag) == expected(history, tag)
    second.close()
    first.close()


def test_a_disk_that_is_full_takes_no_more_curves_and_stops_nothing(tmp_path, capsys):
    """Here it is a limit on the size of files."""
    view = TensorBoardView(tmp_path / "tb", make_rows(1, 4))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (next((tmp_path / "tb").iterdir()).stat().st_size, unlimited[1]))
    try:
        for row in make_rows(5, 99):
            view.add(row)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    view.close()
    assert curve(show(tmp_path / "tb"), "loss/policy") == expected(make_rows(1, 4), "loss/policy")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "File too large" in said and "training continues without it" in said


def test_the_files_hold_every_row_once(tmp_path):
    TensorBoardView(tmp_path / "tb", make_rows(1, 8)).close()
    view = TensorBoardView(tmp_path / "tb", make_rows(1, 5))
    view.add(make_rows(6, 6, line=1)[0])
    view.close()
    found = [(event.step, value.tag) for path in (tmp_path / "tb").iterdir()
             for event in EventFileLoader(str(path)).Load() for value in event.summary.value]
    assert sorted(found) == sorted((row["step"], tag) for row in make_rows(1, 6) for tag in row if "/" in tag)


def test_a_view_without_history_clears_what_was_there(tmp_path):
    TensorBoardView(tmp_path / "tb", make_rows(1, 3)).close()
    view = TensorBoardView(tmp_path / "tb", [])
    view.add(make_rows(1, 1)[0])
    view.close()
    assert curve(show(tmp_path / "tb"), "loss/policy") == expected(make_rows(1, 1), "loss/policy")
