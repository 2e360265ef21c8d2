"""Where each column of a run's metrics is shown: in which plot, under which name, in which unit.

A new column (docs/reference/metrics.md) needs a line here, and nothing else. A column that stands nowhere here gets
a plot under its own name if it begins with one of `FURTHER`.
"""

from __future__ import annotations

from typing import NamedTuple


class MetricPlot(NamedTuple):
    """A plot of metrics: its title, its unit, and what each of its columns is called in it.

    `*` in a column stands for each network in turn. log: whether the axis of y is logarithmic.
    """

    title: str
    unit: str
    columns: dict[str, str]
    log: bool = False


RETURN = MetricPlot("Return", "reward", {"episode/return": "training episodes",
                                         "evaluation/score": "evaluation ± its deviation"})
LEARNING = (
    MetricPlot("Episode length", "steps", {"episode/length": "training", "evaluation/length": "evaluation"}),
    MetricPlot("Policy loss", "loss", {"loss/policy": "", "loss/actor": ""}),
    MetricPlot("Value loss", "loss", {"loss/value": ""}, log=True),
    MetricPlot("Critic loss", "loss", {"loss/critic": ""}, log=True),
    MetricPlot("Entropy of the policy", "nats", {"policy/entropy": ""}),
    MetricPlot("Standard deviation of actions", "half ranges", {"policy/std": ""}),
    MetricPlot("How far an update moves the policy", "nats", {"policy/approx_kl": "KL divergence"}),
    MetricPlot("Share of probability ratios clipped", "share", {"policy/clip_fraction": ""}),
    MetricPlot("Return explained by the value estimate", "share", {"value/explained_variance": ""}),
    MetricPlot("Q of sampled transitions", "reward", {"q/mean": "Q", "q/target": "target",
                                                      "q/policy": "of the policy's actions", "q/max": "largest"}),
    MetricPlot("Spread of Q", "reward", {"q/std": "over transitions", "q/target_std": "of the targets",
                                         "q/spread": "between networks",
                                         "q/quantile_std": "over a network's quantiles"}),
    MetricPlot("Temperature", "weight of the entropy", {"entropy/temperature": ""}),
    MetricPlot("Replay buffer", "transitions", {"replay/transitions": ""}),
    MetricPlot("Gradient steps for each environment step", "ratio", {"replay/ratio": ""}),
    MetricPlot("Learning rate", "step size", {"optimizer/learning_rate": ""}),
)
FURTHER = ("loss/", "policy/", "value/", "q/", "entropy/")
NOT_SHOWN = {"policy/epochs"}
TIMES = MetricPlot("Seconds of an iteration", "s", {"time/collect": "collecting", "time/update": "updating",
                                                    "time/evaluate": "evaluating", "time/checkpoint": "checkpointing"})
SPEED = MetricPlot("Speed", "steps/s", {"time/steps_per_second": ""})

UPDATE = "optimizer/*/update_norm"
RATIO = "optimizer/*/update_over_parameters"  # no column: UPDATE over the norm of the parameters
NETWORKS = (
    MetricPlot("Gradient norm", "norm", {"optimizer/*/gradient_norm": "",
                                         "optimizer/*/clipped_gradient_norm": "after clipping"}, log=True),
    MetricPlot("Parameter norm", "norm", {"optimizer/*/parameter_norm": ""}),
    MetricPlot("Update norm", "norm", {UPDATE: ""}, log=True),
    MetricPlot("Update over parameters", "share", {RATIO: ""}, log=True),
    MetricPlot("Norm of Adam's first moment", "norm", {"optimizer/*/adam_first_moment_norm": ""}, log=True),
    MetricPlot("Norm of Adam's second moment", "norm", {"optimizer/*/adam_second_moment_norm": ""}, log=True),
    MetricPlot("Dead hidden units", "share", {"optimizer/*/dead_units": ""}),
)
