"""Which run a notebook's form means."""

from functools import partial

import pytest
from helpers import TINY

from colab_rl import UsageError, train
from colab_rl.colab import cells, sweeps
from colab_rl.colab.names import derived_name, run_to_train
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings
from colab_rl.sweeps.folder import SweepFolder
from colab_rl.sweeps.plan import Plan
from colab_rl.views.live import LivePlot
from colab_rl.views.live_sweep import LiveSweep


def test_run_all_again_means_the_same_run_if_a_module_names_the_function(tmp_path, monkeypatch, capsys):
    (tmp_path / "the_pole.py").write_text("import gymnasium\n\ndef make():\n    return gymnasium.make('CartPole-v1')\n")
    monkeypatch.syspath_prepend(tmp_path)
    root = tmp_path / "runs"
    train("book", env="the_pole:make", settings=parse_settings(TINY), total_steps=128, root=root, store="none")
    places = Places(root, "none")
    assert run_to_train("book", places, "the_pole:make", "ppo", 0) == "book"
    assert run_to_train("book", places, "CartPole-v1", "ppo", 0) == "book-cartpole-ppo-0"
    assert "this run is called book-cartpole-ppo-0" in capsys.readouterr().out
    assert derived_name("the_pole:make", None, 3) == "make-ppo-3"


@pytest.mark.parametrize(("name", "said"), [("", False), ("cart-pp", True)])
def test_only_a_name_that_a_person_typed_may_be_mistyped(tmp_path, monkeypatch, capsys, name, said):
    tiny = parse_settings(TINY)
    monkeypatch.setattr(cells, "LivePlot", partial(LivePlot, show=lambda _: None))
    monkeypatch.setattr(cells, "offer_film", lambda *_: None)
    for run in ("cartpole-pp-0", "cart-ppo"):
        train(run, env="CartPole-v1", settings=tiny, total_steps=64, root=tmp_path, store="none")
    capsys.readouterr()
    form = {"env": "CartPole-v1", "algo": "ppo", "seed": 0, "total_steps": 64, "settings": tiny}
    result = cells.train_live(name, "none", tmp_path, **form)
    assert result.run == (name or "cartpole-ppo-0")
    assert ("cart-pp is a new run, and you also have cart-ppo" in (told := capsys.readouterr().err)) == said
    assert told.count("is a new run") == said
    if not name:  # a form whose environment was changed, and whose name was left
        form |= {"env": "Acrobot-v1"}
        assert cells.train_live("cart-ppo", "none", tmp_path, **form).run == "cart-ppo-acrobot-ppo-0"
        assert "is a new run" not in capsys.readouterr().err


def test_spaces_that_are_pasted_around_a_text_are_no_part_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "LivePlot", partial(LivePlot, show=lambda _: None))
    monkeypatch.setattr(cells, "offer_film", lambda *_: None)
    monkeypatch.setattr(sweeps, "LiveSweep", partial(LiveSweep, show=lambda _: None))
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: None)
    form = {"env": " CartPole-v1 ", "total_steps": 64, "settings": parse_settings(TINY)}
    assert cells.train_live("cart ", "none", tmp_path, **form).run == "cart"
    assert cells.choose_run(" cart", " none ", tmp_path) == ("cart", "none")
    cells.show_dashboards("cart ", "latest ", "", "none", tmp_path)
    assert sweeps.sweep_live(" both", "none", tmp_path, seeds=" ", workers=1, **form).sweep == "both"


def test_a_name_that_is_no_runs_is_one_line_under_the_dashboards(tmp_path):
    SweepFolder(Places(tmp_path, "none"), "five").write_plan(Plan(
        sweep="five", env_id="CartPole-v1", env_is_function=False, algorithms=("ppo",), trials=1, seeds=(0,)))
    for name, said in (("five", "five is a sweep that has no runs yet"), ("typo", "no run 'typo'")):
        with pytest.raises(UsageError, match=said):
            cells.show_dashboards(name, store="none", root=tmp_path)
