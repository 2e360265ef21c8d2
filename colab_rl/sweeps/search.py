"""What a search proposes for each trial: a Bayesian search by Optuna's TPE (Bergstra et al. 2011).

What it proposes for trial k depends on k and on the results of the trials 0 to k - at_once, told in their order, and on
nothing else. So a search that was killed proposes what the undisturbed one would have proposed, on any machine, from
the journal alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from colab_rl.algorithms.registry import algorithm_class
from colab_rl.errors import UsageError
from colab_rl.settings import one_setting
from colab_rl.sweeps.choices import Range
from colab_rl.sweeps.plan import Plan


@dataclass(frozen=True)
class PastTrial:
    """How a trial ended. score: of a finished or a pruned one; step: at which it was pruned."""

    settings: Mapping[str, Any]
    state: str
    score: float | None
    step: int | None = None


def optuna() -> ModuleType:
    """Optuna. Raises UsageError if it is not installed."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise UsageError('--search needs the package optuna, which is not installed; nothing was started; '
                         'pip install "colab-rl[sweep]" or pip install optuna') from None
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def propose(plan: Plan, number: int, told: Sequence[PastTrial]) -> dict[str, Any]:
    """The settings of trial `number`. told: the trials 0, 1, ... that it may depend on."""
    library = optuna()
    study = library.create_study(direction="maximize", sampler=library.samplers.TPESampler(seed=number))
    distributions = {name: _distribution(library, plan, name) for name in plan.space}
    for one in told:
        study.add_trial(_past_trial(library, plan, one, distributions))
    found = {}
    for name, value in study.ask(distributions).params.items():
        space = plan.space[name]
        found[name] = value if isinstance(space, Range) else space[value]
    return found


def _distribution(library: ModuleType, plan: Plan, name: str) -> Any:
    """Of one setting. Values are chosen by their position: some, such as lists, Optuna does not take."""
    space = plan.space[name]
    if not isinstance(space, Range):
        return library.distributions.CategoricalDistribution(range(len(space)))
    if isinstance(one_setting(algorithm_class(plan.algorithms[0]).config_class, name, space.low), int):
        return library.distributions.IntDistribution(int(space.low), int(space.high), log=space.log)
    return library.distributions.FloatDistribution(space.low, space.high, log=space.log)


def _past_trial(library: ModuleType, plan: Plan, told: PastTrial, distributions: Mapping[str, Any]) -> Any:
    states = library.trial.TrialState
    params = {name: told.settings[name] if isinstance(space, Range) else space.index(told.settings[name])
              for name, space in plan.space.items()}
    given: dict[str, Any] = {"params": params, "distributions": distributions}
    if told.state == "finished":
        return library.trial.create_trial(state=states.COMPLETE, value=told.score, **given)
    if told.state == "pruned":
        return library.trial.create_trial(state=states.PRUNED, intermediate_values={told.step: told.score}, **given)
    return library.trial.create_trial(state=states.FAIL, **given)
