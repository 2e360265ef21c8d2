"""A mistake in a person's own algorithm or network is one line with its place, and costs no run that has trained."""

from __future__ import annotations

import inspect
import random
import re

import numpy as np
import pytest
import torch
from helpers import TINY, snapshot
from torch import nn

from colab_rl import evaluate, train
from colab_rl.algorithms.on_policy import OnPolicyAlgorithm
from colab_rl.algorithms.own import check_algorithm, own_code_guarded
from colab_rl.algorithms.ppo.ppo import PPO
from colab_rl.algorithms.registry import make_config
from colab_rl.cli import main
from colab_rl.environments.spaces import ObservationSpec, Spaces
from colab_rl.errors import ColabRLError, Divergence, OwnCodeFault, UnfitNetwork, UsageError
from colab_rl.networks.base import Network
from colab_rl.networks.registry import own_network, register_network

pytestmark = pytest.mark.usefixtures("one_core")
SETTINGS = dict(one.split("=") for one in TINY)


class Mistaken:
    """Algorithms with a mistake each. `HERE` marks the line that the message names."""

    class Begins(PPO):
        name = "begins"

        def __init__(self, config, spaces, device):
            super().__init__(config, spaces, device)
            self.window = config.num_steps / 0  # HERE

    class Collects(PPO):
        name = "collects"

        def collect(self, envs):
            assert envs is None  # HERE

    class Updates(PPO):
        name = "updates"

        def update(self, progress):
            return {}["loss"]  # HERE

    class Loses(PPO):
        name = "loses"

        def policy_loss(self, distribution, batch):
            return super().policy_loss(distribution, batch[0])  # HERE

    class Leaves(PPO):
        name = "leaves"

        def update(self, progress):
            raise SystemExit("enough")  # HERE

    class Lossless(PPO):  # HERE
        name = "lossless"

        def policy_loss(self, distribution, batch):
            pass

    class Unmeasured(PPO):  # HERE
        name = "unmeasured"

        def update(self, progress):
            super().update(progress)

    class Countless(PPO):  # HERE
        name = "countless"

        def collect(self, envs):
            super().collect(envs)

    class Bare(OnPolicyAlgorithm):  # HERE
        name = "bare"
        config_class = PPO.config_class

        def update(self, progress):
            return {}


MISTAKES = {
    Mistaken.Begins: "ZeroDivisionError: division by zero", Mistaken.Collects: "AssertionError",
    Mistaken.Updates: "KeyError: 'loss'", Mistaken.Loses: "AttributeError: .* no attribute 'advantages'",
    Mistaken.Leaves: "SystemExit: enough",
    Mistaken.Lossless: "TypeError: cannot unpack non-iterable NoneType object, at line .* of ppo.py",
    Mistaken.Unmeasured: "collect returned int and update NoneType", Mistaken.Countless: "collect returned NoneType",
    Mistaken.Bare: "does not set policy, networks, optimizers, value in its __init__"}


def place(thing):
    lines, first = inspect.getsourcelines(thing)
    number = first + next(number for number, text in enumerate(lines) if "# HERE" in text)
    return re.escape(f"({__file__}, line {number})")


@pytest.mark.parametrize("algorithm", MISTAKES, ids=lambda one: one.__name__)
def test_what_an_algorithm_raises_is_a_line_with_its_place_and_leaves_no_new_run(tmp_path, algorithm):
    (tmp_path / "store").mkdir()
    with pytest.raises(OwnCodeFault, match=rf"^algorithm {algorithm.name} .*{MISTAKES[algorithm]}.* ?"
                       rf"{place(algorithm)}; .*no trained state was saved, so colab_rl removed wrong; "
                       "correct the code, then give the same command again$"):
        train("wrong", env="CartPole-v1", algo=algorithm, total_steps=128, settings=SETTINGS, root=tmp_path / "runs",
              store=tmp_path / "store")
    assert snapshot(tmp_path / "store") == {} and not (tmp_path / "runs" / "wrong").exists()


@pytest.mark.parametrize(("metric", "value", "said"), [
    ("step", 7.0, "a metric called 'step', which is a column of colab_rl's own"),
    ("episode/return", 7.0, "a metric called 'episode/return', which is a column of colab_rl's own"),
    ("loss/mine", None, "NoneType as the metric 'loss/mine', and a number is needed")])
def test_a_metric_that_is_no_number_or_takes_a_columns_name_is_a_line(tmp_path, metric, value, said):
    class Measures(PPO):
        name = "measures"

        def update(self, progress):
            return {**super().update(progress), metric: value}

    with pytest.raises(OwnCodeFault, match=said):
        train("wrong", env="CartPole-v1", algo=Measures, total_steps=128, settings=SETTINGS, root=tmp_path)


def test_a_negative_number_of_steps_is_a_line(tmp_path):
    class Back(PPO):
        name = "back"

        def collect(self, envs):
            return -super().collect(envs)

    with pytest.raises(OwnCodeFault, match=r"collect returned -\d+, and a number of steps is not negative"):
        train("wrong", env="CartPole-v1", algo=Back, total_steps=128, settings=SETTINGS, root=tmp_path)


def test_a_loss_that_is_not_finite_ends_a_run_of_an_own_algorithm(tmp_path):
    class Diverges(PPO):
        name = "diverges"

        def update(self, progress):
            return {**super().update(progress), "loss/mine": float("inf")}

    with pytest.raises(Divergence, match=r"^loss/mine is inf"):
        train("wrong", env="CartPole-v1", algo=Diverges, total_steps=128, settings=SETTINGS, root=tmp_path)


class Draws(PPO):
    """Its loss draws from the global generators."""

    name = "draws"

    def policy_loss(self, distribution, batch):
        loss, metrics = super().policy_loss(distribution, batch)
        drawn = float(torch.randn(()) + np.random.normal() + random.random())
        return loss * (1 + 0.1 * drawn), {**metrics, "loss/drawn": drawn}


def test_a_loss_that_draws_from_global_generators_resumes_exactly_and_leaves_them(tmp_path):
    before = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    settings = {**SETTINGS, "checkpoint_every": 2, "learning_rate_schedule": "constant"}
    ends = []
    for steps in ([512], [200, 512]):
        for total in steps:
            root = tmp_path / str(len(steps))
            result = train("run", env="CartPole-v1", algo=Draws, settings=settings, total_steps=total, root=root)
        ends.append(result.state_sha256)
    assert ends[0] == ends[1]
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0]) and np.array_equal(before[1], after[1]) and before[2] == after[2]


class Later(PPO):
    """Fails in its third iteration while it is `broken`."""

    name = "later"
    broken = True

    def update(self, progress):
        if progress > 0.4 and self.broken:
            raise RuntimeError("too late")  # HERE
        return super().update(progress)


def test_a_run_that_has_trained_is_kept_and_continues_with_the_corrected_code(tmp_path, monkeypatch):
    def run():
        return train("late", env="CartPole-v1", algo=Later, total_steps=256, settings=SETTINGS, root=tmp_path,
                     store="none")

    with pytest.raises(OwnCodeFault, match=r"^after iteration 2: algorithm \S+:Later failed: RuntimeError: too late "
                       rf"{place(Later)}; kept: generation 3, step \d+; correct the code, then give the same command "
                       "again$"):
        run()
    before = snapshot(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OwnCodeFault, match=r"ValueError: no.*; kept: generation 3; "):
        def begin(self, *arguments):
            raise ValueError("no")

        patch.setattr(Later, "__init__", begin)
        run()
    assert {name for name in before if name.startswith("late/")} <= set(snapshot(tmp_path))
    monkeypatch.setattr(Later, "broken", False)
    assert run().finished

    def act(self, *arguments, **options):
        raise LookupError("no action")

    monkeypatch.setattr(Later, "act", act)
    with pytest.raises(OwnCodeFault, match=r"Later failed: LookupError: no action \(.*; nothing was written$"):
        evaluate("late", episodes=1, root=tmp_path, store="none")


class Tired(Network):
    """Passes its trial, and fails in training."""

    def __init__(self, observation, outputs):
        super().__init__()
        self.layer, self.calls = nn.Linear(*observation.shape, outputs), 0

    def forward(self, obs):
        self.calls += 1
        assert self.calls < 40  # HERE
        return self.layer(obs)


def test_a_network_that_fails_in_training_is_named_by_its_place(tmp_path):
    with pytest.raises(OwnCodeFault, match=rf"^network \S+:Tired failed: AssertionError.* {place(Tired)}; .*removed"):
        train("tired", env="CartPole-v1", algo="ppo", total_steps=128, settings={**SETTINGS, "network": Tired},
              root=tmp_path, store="none")
    assert not (tmp_path / "tired").exists()


def test_a_mistake_of_colab_rl_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), own_code_guarded("ppo", "auto"):
        1 / 0  # noqa: B018
    with pytest.raises(UsageError, match=r"^mine$"), own_code_guarded("ppo", register_network(Tired)):
        raise UsageError("mine")


MODULE = """
from torch import nn
class Sized(nn.Module):
    def __init__(self, observation, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(*observation.shape, SIZE), nn.Tanh(), nn.Linear(SIZE, outputs))
    def forward(self, obs):
        return self.layers(obs)
"""


def test_a_checkpoint_that_does_not_fit_a_changed_network_says_so(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    places = {"root": tmp_path / "runs", "store": "none"}

    def run(steps):
        return train("sized", env="CartPole-v1", algo="ppo", total_steps=steps, **places,
                     settings={**SETTINGS, "network": "sized_network:Sized"})

    (tmp_path / "sized_network.py").write_text(MODULE.replace("SIZE", "8"))
    run(64)
    import sized_network
    monkeypatch.setattr(sized_network, "Sized", namespace(MODULE.replace("SIZE", "9"))["Sized"])
    before = snapshot(tmp_path / "runs")
    said = (r"is whole but does not fit network sized_network:Sized, whose code has changed: "
            r"policy.*weight has the shape \(9, 4\) now, and \(8, 4\) in it; nothing was changed; put the code back")
    with pytest.raises(ColabRLError, match=f"^generation 3 {said}"):
        run(128)
    with pytest.raises(ColabRLError, match=f"^generation . of sized {said}"):
        evaluate("sized", episodes=1, **places)
    after = snapshot(tmp_path / "runs")
    assert {name: after[name] for name in before if "checkpoints" in name} == {
        name: data for name, data in before.items() if "checkpoints" in name}


def namespace(text):
    names = {"__name__": "sized_network"}
    exec(text, names)
    return names


class Convolving(Network):
    def __init__(self, observation, outputs):
        super().__init__()
        height, width, channels = observation.shape
        self.layers = nn.Sequential(nn.Conv2d(channels, 4, 4, 4), nn.Flatten(),
                                    nn.Linear(4 * (height // 4) * (width // 4), outputs))

    def forward(self, obs):
        return self.layers(obs.permute(0, 3, 1, 2).float() / 255)


class Fixed(Network):
    def __init__(self, observation, outputs):
        super().__init__()
        self.layer = nn.Linear(5, outputs)

    def forward(self, obs):
        return self.layer(obs)


@pytest.mark.parametrize("algorithm", ["sac", "tqc"])
@pytest.mark.parametrize(("observation", "network", "said"), [
    (ObservationSpec((12, 12, 3), "uint8"), Convolving, "the image and the action as 434 flat numbers: network .* "
     "fails .*ValueError: not enough values .*; use --algo ppo, or give --set network=cnn"),
    (ObservationSpec((5,)), Fixed, "the observation and the action as 7 flat numbers: network .* fails .*; "
     "use --algo ppo, or let the network take observation.shape as it is")], ids=["image", "numbers"])
def test_a_network_that_cannot_be_a_q_network_is_refused_before_anything_is_written(
        algorithm, observation, network, said):
    bounds = np.ones(2, np.float32)
    spaces = Spaces(observation, False, 2, 0, -bounds, bounds)
    settings = {"network": register_network(network), "buffer_size": 1000, "num_envs": 1}
    with pytest.raises(OwnCodeFault, match=rf"^the Q networks of {algorithm} give it {said}.*; nothing was written$"):
        check_algorithm(algorithm, make_config(algorithm, settings), spaces)
    check_algorithm("ppo", make_config("ppo", {"network": settings["network"]}), spaces)


def test_what_a_networks_trial_finds_says_that_nothing_was_written():
    class Blind(Fixed):
        def forward(self, obs):
            return super().forward(torch.zeros_like(obs))

    spaces = Spaces(ObservationSpec((5,)), True, 2, 0, np.zeros(0, np.float32), np.zeros(0, np.float32))
    with pytest.raises(UnfitNetwork, match=r"whatever it observes; nothing was written$"):
        check_algorithm("ppo", make_config("ppo", {"network": register_network(Blind)}), spaces)


@pytest.mark.parametrize("option", [["--algo", "own_module:Thing"], ["--set", "network=own_module:Thing"]],
                         ids=["algorithm", "network"])
@pytest.mark.parametrize(("code", "what", "line"), [
    ("\ndef broken(:\n", "SyntaxError: invalid syntax", 2), ("import math\nmath.sqrt(-1)", "ValueError: .*", 2),
    ("x = 1 / 0", "ZeroDivisionError: division by zero", 1), ("\n\nraise SystemExit('bye')", "SystemExit: bye", 3)],
    ids=["syntax", "value", "zero", "exit"])
def test_a_module_that_cannot_be_imported_is_a_line(tmp_path, monkeypatch, capsys, option, code, what, line):
    (tmp_path / "own_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    before = snapshot(tmp_path)
    assert main(["train", "new", "--env", "CartPole-v1", "--root", str(tmp_path / "runs"), "--store", "none",
                 *option]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(rf"error: (algorithm|network) 'own_module:Thing' could not be imported: {what} "
                        rf"\({tmp_path}/own_module.py, line {line}\); nothing was changed; correct the module, then "
                        r"give the same command again\n", said), said
    assert {name for name in snapshot(tmp_path) if "__pycache__" not in name} == set(before)


def test_a_mistyped_class_of_a_module_names_what_is_near():
    with pytest.raises(UsageError, match=r"the module has no 'tired'; did you mean 'Tired'"):
        own_network(f"{__name__}:tired")


class NoConfig(PPO):
    name = "no config"
    config_class = dict


class Unlimited(PPO):
    name = "failing config"

    class config_class(PPO.config_class):
        def __post_init__(self):
            super().__post_init__()
            assert self.num_envs > 1000  # HERE


def test_a_config_with_a_mistake_is_a_line():
    with pytest.raises(UsageError, match="has <class 'dict'> as its config_class, and a subclass of Config"):
        train("new", env="CartPole-v1", algo=NoConfig, root="nowhere", store="none")
    with pytest.raises(OwnCodeFault, match=rf"^the config of algorithm \S+:Unlimited failed: AssertionError.* "
                       rf"{place(Unlimited)}; nothing was changed$"):
        train("new", env="CartPole-v1", algo=Unlimited, root="nowhere", store="none")
