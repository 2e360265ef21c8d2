"""What a checkpoint keeps of the code that trains its run, among its `versions`, and what of it differs now.

    "code": "2f9c...",                      the definitions of colab_rl that the run uses, in any order and any files
    "code of algorithms/ppo": "77ab...",    those in one folder: this names what changed
    "code of the environment": "0c3e...",   a user's own: a function, or the module of `module:Id`
"""

from __future__ import annotations

import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import gymnasium

from colab_rl.environments.make import bare
from colab_rl.training.code.files import is_ours, reached
from colab_rl.training.code.objects import ObjectCode, is_own, read_object
from colab_rl.training.code.proven import PROVEN

CODE, UNKNOWN = "code", "unknown"
PART, OWN = "code of ", "code of the "
# Nothing that an algorithm imports names these.
LOOP = {"colab_rl.training.trainer", "colab_rl.environments.worker", "colab_rl.arithmetic"}
UNREADABLE = (OSError, SyntaxError, ValueError, RecursionError)


def own_code(thing: str | Callable) -> ObjectCode:
    """The code of a user's own environment, algorithm or network; its digest is `unknown` if it cannot be read.

    A function is read before anything calls it, since a call may change what it uses.
    """
    thing = bare(thing)
    if isinstance(thing, str):
        module, _, name = thing.rpartition(":")
        spec = gymnasium.registry.get(name)
        made_by = spec.entry_point if spec and isinstance(spec.entry_point, str) else ""
        return ObjectCode("", frozenset(filter(None, [module, made_by.partition(":")[0]])))
    try:
        return read_object(thing)
    except Exception:  # whatever an object raises that is asked for what it holds
        return ObjectCode(UNKNOWN, frozenset())


def code_of(algorithm: type, backend: str, **own: ObjectCode) -> dict[str, str]:
    """The hashes of the code that trains a run, `unknown` if it cannot be read.

    own: what `own_code` gave, by what it is of, such as `environment`.
    """
    own = _with_algorithm(algorithm, own)
    roots = {f"colab_rl.environments.{backend}_vector", *(kind.__module__ for kind in algorithm.__mro__)}
    try:
        found = _ours(LOOP.union(roots, *(code.modules for code in own.values())))
    except UNREADABLE:
        found = {CODE: UNKNOWN}
    return {**found, **_own_hashes(own)}


def own_changes(then: Mapping[str, str], algorithm: type, **own: ObjectCode) -> list[str]:
    """Such as `code of the network`: what differs of a user's own code, as far as it can be read.

    then: a checkpoint's versions. own: see `code_of`.
    """
    now = _own_hashes(_with_algorithm(algorithm, own))
    return [name for name, digest in now.items()
            if then.get(name, digest) != digest and UNKNOWN not in (then[name], digest)]


def differences(then: Mapping[str, str], now: Mapping[str, str], run: str) -> list[str]:
    """Such as `torch 2.11.0 -> 2.13.0` or `code of algorithms/ppo changed`, for each of the versions that differs.

    run: its algorithm and its backend, such as `ppo envpool`.
    """
    if CODE not in then:  # 0.1.0 kept none: it is known by what PROVEN says
        then = {"colab_rl": "0.1.0", **{name: now[name] for name in now if name.startswith(OWN)}, **then,
                **PROVEN.get(run, {})}
        if then.get(CODE) == now[CODE]:
            then["colab_rl"] = now["colab_rl"]
    totals = {then.get(CODE), now.get(CODE)}
    reasons = []
    for name in dict.fromkeys([*then, *now]):
        before, after = then.get(name, "missing"), now.get(name, "missing")
        if name.startswith(CODE) and UNKNOWN in (before, after):
            reasons.append(f"{name} unknown")
        elif before == after or (name == CODE and CODE in then):  # its parts tell
            continue
        elif not name.startswith(CODE):
            reasons.append(f"{name} {before} -> {after}")
        elif name == CODE or name.startswith(OWN) or (len(totals) == 2 and totals.isdisjoint({None, UNKNOWN})):
            reasons.append(f"{name} changed")
    return reasons


def _with_algorithm(algorithm: type, own: Mapping[str, ObjectCode]) -> dict[str, ObjectCode]:
    return {**own, "algorithm": own_code(algorithm)} if is_own(algorithm.__module__) else dict(own)


def _own_hashes(own: Mapping[str, ObjectCode]) -> dict[str, str]:
    found = {}
    for name, code in own.items():
        try:
            if digest := _own(code):
                found[OWN + name] = digest
        except UNREADABLE:
            found[OWN + name] = UNKNOWN
    return found


def _ours(roots: Iterable[str]) -> dict[str, str]:
    """The hashes of what is reached of colab_rl, all together and by folder. Raises what `reached` does."""
    parts: dict[str, list[str]] = defaultdict(list)
    files = {module: hashes for module, hashes in reached(roots).items() if is_ours(module)}
    for module, hashes in files.items():
        folders = module.split(".")[1:]
        parts["/".join(folders[:-1] or folders)] += hashes
    return {CODE: _hash(itertools.chain.from_iterable(files.values())),
            **{PART + folder: _hash(parts[folder]) for folder in sorted(parts)}}


def _own(code: ObjectCode) -> str:
    """The hash of a user's code, empty if there is none of his own. Raises what `reached` does."""
    if code.digest == UNKNOWN:
        return UNKNOWN
    files = reached(code.modules)
    hashes = list(filter(None, [code.digest, *itertools.chain.from_iterable(
        files[module] for module in files if not is_ours(module))]))
    return _hash(hashes) if hashes else ""


def _hash(hashes: Iterable[str]) -> str:
    """One hash of many, in whatever order."""
    return hashlib.sha256(" ".join(sorted(hashes)).encode()).hexdigest()[:16]
