"""Which run a notebook's form means."""

from helpers import TINY

from colab_rl import train
from colab_rl.colab.names import derived_name, run_to_train
from colab_rl.runs.places import Places
from colab_rl.settings import parse_settings


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
