"""What people read of a policy: a line, a card in a notebook, and the model card and example of an exported folder.

All of it comes from what policy.json says; names are escaped, since the maker of the file chose them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

About = Mapping[str, Any]
EXAMPLE_CODE = '''"""One episode of this policy: `python example.py [SEED]` prints its return.

It needs numpy, gymnasium{version} (with what the environment needs) and onnxruntime.
"""

import pathlib
import sys

import gymnasium
import numpy as np
import onnxruntime

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
session = onnxruntime.InferenceSession(pathlib.Path(__file__).with_name("policy.onnx"))
environment = {make}
obs, _ = environment.reset(seed=seed)
total, done = 0.0, False
{remember}while not done:
    # A batch of one: normalisation, scaling and clipping are in the graph.
    {outputs} = session.run({names}, {{"obs": np.asarray({seen}, np.{dtype})[None]{memory}}})
    obs, reward, terminated, truncated, _ = environment.step(actions[0])
    total += float(reward)
    done = terminated or truncated
print(f"return {{total!r}} on seed {{seed}}")
'''
TORCH_CODE = '''"""One episode of this policy: `python example.py [SEED]` prints its return.

It needs colab_rl, and the network that the policy was trained with: it has no ONNX form (policy.json says why).
"""

import pathlib
import sys

import gymnasium

import colab_rl

seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
policy = colab_rl.load_policy(pathlib.Path(__file__).parent)
environment = {make}
obs, _ = environment.reset(seed=seed)
total, done = 0.0, False
while not done:
    obs, reward, terminated, truncated, _ = environment.step(policy(obs))
    total += float(reward)
    done = terminated or truncated
print(f"return {{total!r}} on seed {{seed}}")
'''


def facts(about: About) -> dict[str, str]:
    """What a card shows, in words by name."""
    spaces, source, settings = about["spaces"], about["provenance"], about["settings"]
    network = settings.get("network", "mlp")
    if network == "auto":
        network = "cnn" if spaces["observation"].get("dtype") == "uint8" else "mlp"
    sizes = "-".join(map(str, settings.get("hidden_sizes", ())))
    units = about.get("channels", {}).get("actions", [])
    keywords = ", ".join(f"{key}={value!r}" for key, value in (about.get("env_kwargs") or {}).items())
    wrappers = ", ".join(settings.get("wrappers", ()))
    return {"environment": about["environment"] + (keywords and f" ({keywords})"),
            **({"wrappers": wrappers} if wrappers else {}), "score": score_text(about["score"]),
            "steps": f"{source['step']:,}, generation {source['generation']} of {about['run']}",
            "algorithm": about["algorithm"],
            "network": f"mlp, {sizes}, {settings.get('activation')}" if network == "mlp" else network,
            "observes": _numbers(spaces["observation"]),
            "does": _actions(spaces) + (f" ({', '.join(units)})" if len(units) == spaces["action_dim"] else "")}


def score_text(score: Mapping[str, Any] | None) -> str:
    """A score with its spread, its episodes and its interval, or that it is not confirmed."""
    if score is None:
        return "not evaluated yet"
    spread = "" if score["std"] is None else f" +- {score['std']:.2f}"
    episodes, seed = score["episodes"], score["seed"]
    over = "" if episodes is None else f" over {episodes} episodes, seeds {seed} to {seed + episodes - 1}"
    interval = ""
    if "low" in score and seed is not None:  # the first version kept neither
        interval = (", not confirmed: evaluate scores it on fresh ones" if score["low"] is None else
                    f", 95 % interval {score['low']:.2f} to {score['high']:.2f}")
    return f"{score['mean']:.2f}{spread}{over}{interval}"


def line(about: About) -> str:
    """A policy in one line."""
    known = facts(about)
    return (f"<policy of {about['run']}, generation {about['provenance']['generation']}: {known['environment']}, "
            f"{known['algorithm']}, score {known['score']}>")


def html_card(about: About) -> str:
    """What a notebook shows."""
    left = 'style="text-align:left"'
    rows = "".join(f"<tr><th {left}>{html.escape(name)}</th><td {left}>{html.escape(value)}</td></tr>"
                   for name, value in facts(about).items())
    return f"<table><caption>Policy of {html.escape(about['run'])}</caption>{rows}</table>"


def _edit(name: str) -> str:
    return f"edit example.py: it needs what makes the environment, as {name.removeprefix('custom:')} did for training"


def example(about: About, onnx: bool) -> str:
    """example.py."""
    from colab_rl.environments.wrappers import REWARD_ONLY, parsed  # an exported folder is read without gymnasium

    name, keywords = about["environment"], about.get("env_kwargs") or {}
    given = "".join(f", {key}={value!r}" if key.isidentifier() else f", **{{{key!r}: {value!r}}}"
                    for key, value in keywords.items())
    make = f"gymnasium.make({name!r}{given})" if not about["function"] else (
        f"sys.exit({_edit(name)!a})  # put here what makes the environment")
    for text in about["settings"].get("wrappers", ()):
        wrapper, positional, named = parsed(text)
        if wrapper not in REWARD_ONLY:  # which a policy does not see, and a score leaves out
            arguments = "".join([*(f", {value!r}" for value in positional),
                                 *(f", {key}={value!r}" for key, value in named.items())])
            make += f"\nenvironment = gymnasium.wrappers.{wrapper}(environment{arguments})"
    flat = about["spaces"].get("observation_space") is not None
    seen = "gymnasium.spaces.flatten(environment.observation_space, obs)" if flat else "obs"
    repeats = any(text.startswith("RepeatAction") for text in about["settings"].get("wrappers", ()))
    parts = {"version": " 1.3 or newer" if repeats else "", "remember": "", "outputs": "[actions]",
             "names": '["action"]', "memory": ""}
    if size := about.get("memory"):
        parts |= {"remember": f"memory = np.zeros((1, {size}), np.float32)  # of this episode\n",
                  "outputs": "actions, memory", "names": '["action", "next_memory"]', "memory": ', "memory": memory'}
    return (EXAMPLE_CODE if onnx else TORCH_CODE).format(
        make=make, seen=seen, dtype=about["spaces"]["observation"]["dtype"], **parts)


def model_card(about: About, video: str | None) -> str:
    """README.md. The block at its top is what the Hugging Face Hub reads."""
    score = about["score"]
    name, environment = about["run"], about["environment"]
    task = {"type": "reinforcement-learning", "name": "reinforcement-learning"}
    metrics = [{"type": "mean_reward", "name": "mean_reward", "value": f"{score['mean']:.2f} +/- {score['std']:.2f}",
                "verified": False}]
    tags = ["reinforcement-learning", "deep-reinforcement-learning", environment, about["algorithm"],
            *(["onnx"] if about["onnx"]["file"] else [])]
    block = {"library_name": "colab_rl", "license": about["license"], "tags": tags, "model-index": [
        {"name": name, "results": [{"task": task, "dataset": {"name": environment, "type": environment},
                                    "metrics": metrics}]}]}
    shown = {key: _plain(value) for key, value in facts(about).items()}
    table = "\n".join(f"| {key} | {value} |" for key, value in shown.items())
    film = "" if not video else f'\n<img src="{video}" alt="An episode">\n' if video.endswith(".gif") else (
        f'\n<video src="{video}" controls autoplay loop muted></video>\n')
    # JSON is YAML, too, so that no name can break out of its place.
    header = "\n".join(f"{key}: {json.dumps(value)}" for key, value in block.items())
    return f"""---
{header}
---
# {_plain(name)}
A policy for {_plain(environment)}, trained with colab_rl {about['versions']['colab_rl']}.
{film}
| | |
| --- | --- |
{table}

The score is the mean return of deterministic episodes of gymnasium's own environment, plus and minus the standard
deviation.

## Use it
```
python example.py 0
```
```python
from colab_rl import load_policy

policy = load_policy("PATH/OF/THIS/FOLDER")
action = policy(obs)
```
{_graph(about)}

`policy.json` holds the spaces, the provenance and the SHA-256 of every file. Write your license into the block above.
"""


def _graph(about: About) -> str:
    onnx, observation = about["onnx"], about["spaces"]["observation"]
    if not onnx["file"]:
        return f"There is no ONNX form: {_plain(onnx['missing'])}. `policy.safetensors` holds the parameters."
    rows = ", ".join(["B", *map(str, observation["shape"])])
    return (f"`policy.onnx` (opset {onnx['opset']}) takes `obs`, {observation['dtype']} of shape ({rows}). It gives "
            "`action` in the environment's own action space. Normalisation, scaling, clipping and the choice of an "
            f"action are inside. {_memory(about)}Over {onnx['compared']:,} observations its actions differ from those "
            f"of training by {about['max_difference']:.1e} of their range at most.")


def _memory(about: About) -> str:
    size = about.get("memory")
    return (f"It also takes `memory`, float32 of shape (B, {size}), zeros when an episode begins, and gives "
            "`next_memory`, which the next step takes. " if size else "")


def _numbers(observation: Mapping[str, Any]) -> str:
    parts = observation.get("parts") or [["", observation["shape"], observation["dtype"]]]
    return ", ".join(f"{' x '.join(map(str, shape))} {'numbers' if dtype == 'float32' else dtype} {name}".strip()
                     for name, shape, dtype in parts)


def _actions(spaces: Mapping[str, Any]) -> str:
    if spaces.get("choices"):
        return f"one of each of {', '.join(map(str, spaces['choices']))} choices"
    if spaces["discrete"]:
        first = spaces["first_action"]
        return f"one of {spaces['action_dim']} choices, {first} to {first + spaces['action_dim'] - 1}"
    bounds = {(low, high) for low, high in zip(spaces["action_low"], spaces["action_high"], strict=True)}
    within = ("of bounds of their own" if len(bounds) > 1 else "" if None in next(iter(bounds)) else
              "from {:g} to {:g}".format(*next(iter(bounds))))
    return f"{spaces['action_dim']} numbers {within}".strip()


def _plain(text: str) -> str:
    """Text that Markdown and HTML take as it is."""
    return re.sub(r"([\\`*\[\]|#~])", r"\\\1", html.escape(" ".join(str(text).split())))
