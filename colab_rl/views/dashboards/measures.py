"""Numbers about a gait, from an episode's telemetry."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from colab_rl.evaluation.episode import Episode
from colab_rl.views.values import text_of

SHORTEST_SWING = 0.06  # s; a foot that lifts for less has bounced
LEAST_DISTANCE = 1.0   # m that the body comes forward, else it did not walk


def contact_names(episode: Episode) -> list[str]:
    """The channels that say whether a foot is on the ground."""
    return [name for name in episode.series if name.startswith("contact_")]


def duty_factor(contact: np.ndarray) -> float:
    """Share of the time that a foot is on the ground (Alexander 1984, doi:10.1177/027836498400300205)."""
    return float(np.mean(contact > 0.5))


def touchdowns(contact: np.ndarray, step_seconds: float) -> np.ndarray:
    """Steps at which a foot lands, after it was in the air for `SHORTEST_SWING` at least."""
    on = contact > 0.5
    landings = np.flatnonzero(on[1:] & ~on[:-1]) + 1
    liftoffs = np.flatnonzero(~on[1:] & on[:-1]) + 1
    kept = []
    for landing in landings:
        before = liftoffs[liftoffs < landing]
        if not len(before) or (landing - before[-1]) * step_seconds >= SHORTEST_SWING:
            kept.append(landing)
    return np.array(kept, int)


def stride_frequency(episode: Episode) -> float:
    """Landings of the same foot a second, in Hz, mean of the feet; NaN with fewer than two landings, without contacts
    or without joints: what has none, such as a lander, touches the ground and does not walk.

    NaN too if the body came less than a metre: feet that tremble make no strides.
    """
    seconds = episode.step_seconds
    rates = []
    for name in contact_names(episode) if seconds and distance(episode) >= LEAST_DISTANCE else []:
        landings = touchdowns(episode[name], seconds or 1)
        if len(landings) > 1:
            rates.append((len(landings) - 1) / ((landings[-1] - landings[0]) * (seconds or 1)))
    return float(np.mean(rates)) if rates else float("nan")


def _joints(episode: Episode) -> list[str]:
    """The joints whose torque and speed are known."""
    joints = [name.removesuffix("_torque") for name in episode.series if name.endswith("_torque")]
    return [joint for joint in joints if f"{joint}_speed" in episode.series]


def distance(episode: Episode) -> float:
    """Metres that the body came forward; NaN without a position or without joints: forward means nothing then."""
    if episode.units.get("position_x") != "m" or not _joints(episode):
        return float("nan")
    position = episode["position_x"].astype(float)
    return float(position[-1] - position[0])


def speed(episode: Episode) -> float:
    """Mean forward speed in m/s; NaN without a position or a time."""
    return distance(episode) / (episode.length * episode.step_seconds) if episode.step_seconds else float("nan")


def energy_per_metre(episode: Episode) -> float:
    """Work of the motors over the distance, in J/m: the sum of |torque x joint speed|, as motors that recover nothing.

    NaN without torques, or if the body came less than a metre.
    """
    far, joints = distance(episode), _joints(episode)
    if not episode.step_seconds or not far >= LEAST_DISTANCE:
        return float("nan")
    power = sum(np.abs(episode[f"{joint}_torque"].astype(float) * episode[f"{joint}_speed"]) for joint in joints)
    return float(np.sum(power[1:]) * episode.step_seconds / far)


def mean_of(measure: Callable[[Episode], float], episodes: Sequence[Episode]) -> float:
    """The mean of a measure over the episodes that have it; NaN if none does."""
    values = np.array([measure(episode) for episode in episodes])
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def contact_sentence(episode: Episode) -> str:
    """Duty factors and stride frequency in words; without joints how long each leg touches the ground."""
    names = contact_names(episode)
    shares = " and ".join(f"{100 * duty_factor(episode[name]):.0f} %" for name in names)
    if not _joints(episode):
        return f"touching for {shares} of the time"
    rate = stride_frequency(episode)
    return f"duty factor {shares}" + (f", {rate:.2g} strides/s" if np.isfinite(rate) else "")


def gait_sentence(episode: Episode) -> str:
    """What an episode was, in a line."""
    cut = f"first {episode.length:,} of " if episode.length < episode.steps else ""
    parts = [f"return {text_of(episode.total_return)}", f"{cut}{episode.steps:,} steps"]
    if np.isfinite(speed(episode)):
        parts.append(f"{text_of(speed(episode))} m/s")
    if np.isfinite(energy_per_metre(episode)):
        parts.append(f"{text_of(energy_per_metre(episode), 0)} J/m")
    return ", ".join(parts)
