"""The code of functions and classes that were written in a cell: what counts of it, and what does not."""

from __future__ import annotations

import copyreg
import os
import subprocess
import sys
import textwrap
from typing import NamedTuple

import pytest

from colab_rl.training.code.objects import read_object


def digest(cell: str, name: str = "make") -> str:
    """The hash of what a cell defines by that name, in a kernel where only that cell has run."""
    namespace: dict = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(cell), "<cell>", "exec"), namespace)
    return read_object(namespace[name]).digest


ENVIRONMENT = '''
    import gymnasium
    import numpy as np

    GRAVITY = 9.8
    TABLE = np.array([1.0, 2.0])
    LIMITS = {"low": (-1, 1), "names": {"left", "right"}}
    unused = 1

    def friction(speed, factor=0.1):
        return factor * speed

    def drag(speed):
        return friction(speed) + 0.5

    class Base(gymnasium.Env):
        mass = 2.0

        def start(self):
            return np.zeros(2, np.float32)

    class Cart(Base):
        @property
        def weight(self):
            return self.mass * GRAVITY

        @staticmethod
        def clip(action):
            return min(max(action, -1), 1)

        @classmethod
        def named(cls):
            return "cart"

        def step(self, action):
            """A step."""
            self.speed = self.speed * drag(1) + TABLE[0] * action
            return self.start(), -self.speed, False, False, {}

        def close(self):
            print("closed", sep="")

    def make(length: int = 3, *, slope=0.1):
        """Makes it."""
        return gymnasium.wrappers.TimeLimit(Cart(), length + LIMITS["low"][0])
'''


COUNTS = {
    "a constant": ("GRAVITY = 9.8", "GRAVITY = 9.9"),
    "an array": ("[1.0, 2.0]", "[1.5, 2.0]"),
    "an array's type": ("[1.0, 2.0])", "[1.0, 2.0], np.float32)"),
    "in a container": ("(-1, 1)", "(-2, 1)"),
    "in a set": ('"right"', '"up"'),
    "a helper": ("return factor * speed", "return factor * speed + 1"),
    "a helper's default": ("factor=0.1", "factor=0.2"),
    "a helper that calls it": ("+ 0.5", "+ 0.6"),
    "a function's own code": ("return gymnasium.wrappers.TimeLimit(Cart(), length +", "return (Cart(), length +"),
    "another function of a package": ("np.zeros(2, np.float32)", "np.ones(2, np.float32)"),
    "a default": ("length: int = 3", "length: int = 4"),
    "a default by name": ("slope=0.1", "slope=0.2"),
    "a method": ("TABLE[0] * action", "TABLE[1] * action"),
    "an operator": ("-self.speed", "+self.speed"),
    "a base's method": ("np.zeros(2", "np.zeros(3"),
    "a base's attribute": ("mass = 2.0", "mass = 2.5"),
    "a base": ("class Cart(Base)", "class Cart(gymnasium.Env)"),
    "a property": ("self.mass * GRAVITY", "self.mass + GRAVITY"),
    "a static method": ("max(action, -1)", "max(action, -2)"),
    "a class method": ('"cart"', '"train"'),
    "the name of an argument": ('sep=""', 'end=""'),
    "a new method": ("def close(self)", "def reset(self): pass\n\n        def close(self)"),
}
DOES_NOT = {
    "nothing": ("", ""),
    "a comment and lines": ("GRAVITY = 9.8", "# in m/s^2\n\n    GRAVITY = 9.8"),
    "a comment in a method": ("self.speed =", "# the new one\n            self.speed ="),
    "a docstring": ('"""A step."""', '"""Another text."""'),
    "no docstring": ('            """A step."""\n', ""),
    "an annotation": ("length: int = 3", "length: float = 3"),
    "formatting": ("(action, -1), 1)", "( action,\n                  -1), 1 )"),
    "what it does not use": ("unused = 1", "unused = 2"),
    "another definition": ("GRAVITY = 9.8\n", "LIMITS = None\n    GRAVITY = 9.8\n"),
    "the order of a set": ('{"left", "right"}', '{"right", "left"}'),
}


@pytest.mark.parametrize("change", COUNTS)
def test_what_training_depends_on_counts(change):
    before, after = COUNTS[change]
    assert before in ENVIRONMENT
    assert digest(ENVIRONMENT.replace(before, after)) != digest(ENVIRONMENT)


@pytest.mark.parametrize("change", DOES_NOT)
def test_how_it_is_written_does_not_count(change):
    before, after = DOES_NOT[change]
    assert before in ENVIRONMENT
    assert digest(ENVIRONMENT.replace(before, after)) == digest(ENVIRONMENT)


# Pairs of values that one line of a cell gives to a thing of some kind.
KINDS = {
    "closure": ('''
        def outer(speed):
            def make():
                return speed
            return make
        make = outer({})
        ''', "1.0", "2.0"),
    "array in a closure": ('''
        import numpy as np
        def outer(table):
            return lambda: table
        make = outer(np.arange(6).reshape({}))
        ''', "2, 3", "3, 2"),
    "type of an array": ('''
        import numpy as np
        table = np.zeros(2, np.dtype("{}"))
        make = lambda: table
        ''', "int32", "float32"),
    "tensor": ('''
        import torch
        weights = torch.tensor({}, dtype=torch.bfloat16)
        make = lambda: weights
        ''', "1.0", "2.0"),
    "module of torch": ('''
        import torch
        torch.manual_seed({})
        model = torch.nn.Sequential(torch.nn.Linear(2, 2))
        make = lambda: model
        ''', "1", "2"),
    "lambda": ("make = lambda: {}", "1", "2"),
    "partial": ('''
        import functools
        def build(a, b=1):
            return a
        make = functools.partial(build, 1, b={})
        ''', "2", "3"),
    "function behind a partial": ('''
        import functools
        def build(a):
            return a + {}
        make = functools.partial(build, 1)
        ''', "2", "3"),
    "callable instance": ('''
        class Maker:
            def __init__(self, speed):
                self.speed = speed
            def __call__(self):
                return self.speed
        make = Maker({})
        ''', "1", "2"),
    "instance's class": ('''
        class Maker:
            def __call__(self):
                return {}
        make = Maker()
        ''', "1", "2"),
    "slots": ('''
        class Maker:
            __slots__ = ("speed",)
            def __call__(self):
                return self.speed
        make = Maker()
        make.speed = {}
        ''', "1", "2"),
    "dataclass": ('''
        from dataclasses import dataclass, field
        @dataclass
        class Settings:
            speeds: list = field(default_factory=lambda: [{}])
        make = lambda: Settings()
        ''', "1", "2"),
    "namespace": ('''
        from types import SimpleNamespace
        settings = SimpleNamespace(speed={})
        make = lambda: settings
        ''', "1", "2"),
    "enum": ('''
        from enum import Enum
        class Gait(Enum):
            WALK = 1
            RUN = {}
        make = lambda: Gait.RUN
        ''', "2", "3"),
    "bound method": ('''
        class Maker:
            speed = {}
            def build(self):
                return self.speed
        make = Maker().build
        ''', "1", "2"),
    "cached function": ('''
        import functools
        @functools.lru_cache
        def speed():
            return {}
        make = lambda: speed()
        ''', "1", "2"),
    "decorated function": ('''
        import functools
        def twice(function):
            @functools.wraps(function)
            def both(*arguments):
                return function(*arguments) + {}
            return both
        @twice
        def make():
            return 1
        ''', "1", "2"),
    "function of NumPy": ('''
        import numpy as np
        bound = np.{}
        make = lambda: bound(1)
        ''', "tanh", "sin"),
    "nested class": ('''
        def make():
            class Inner:
                """A class."""
                speed = {}
                def step(self):
                    return self.speed
            return Inner()
        ''', "1", "2"),
    "recursion": ('''
        def make(n=3):
            return make(n - {}) if n > 0 else 0
        ''', "1", "2"),
    "mutual recursion": ('''
        def even(n):
            return n == 0 or odd(n - {})
        def odd(n):
            return n != 0 and even(n - 1)
        def make():
            return even(4)
        ''', "1", "2"),
    "class that holds itself": ('''
        class Node:
            children = []
            def step(self):
                return super().__init__() or {}
        Node.children += [Node, Node.children]
        make = lambda: Node()
        ''', "1", "2"),
    "set of classes that name it": ('''
        class Hopper:
            def others(self):
                return KINDS
        class Walker:
            def others(self):
                return KINDS, {}
        KINDS = {Hopper, Walker, ("plain", 1)}
        make = lambda: KINDS
        ''', "1", "2"),
    "list that holds itself": ('''
        values = [{}]
        values.append(values)
        make = lambda: values
        ''', "1", "2"),
    "generator": ('''
        def make():
            return (number * {} for number in range(3))
        ''', "1", "2"),
    "imported name": ('''
        def make():
            from math import {} as wave
            return wave(1)
        ''', "sin", "cos"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_thing_tells_its_values_apart_and_is_the_same_again(kind):
    cell, one, other = KINDS[kind]
    assert digest(cell.replace("{}", one)) == digest("\n\n# below\n" + textwrap.dedent(cell.replace("{}", one)))
    assert digest(cell.replace("{}", one)) != digest(cell.replace("{}", other))


def test_a_chain_of_many_functions_is_read_to_its_end():
    links = "".join(f"def link_{i}(x):\n    return link_{i + 1}(x)\n" for i in range(2000))
    one, other = (f"{links}def link_2000(x):\n    return x + {number}\nmake = link_0" for number in (1, 2))
    assert digest(one) != digest(other)


def test_a_docstring_of_a_nested_class_does_not_count():
    cell, one, _ = KINDS["nested class"]
    bare = cell.replace('                """A class."""\n', "")
    assert bare != cell
    assert digest(cell.replace("{}", one)) == digest(bare.replace("{}", one))


def test_a_fresh_kernel_gives_the_same_hash():
    """Another process, in which sets and addresses lie in another order."""
    program = textwrap.dedent(ENVIRONMENT) + textwrap.dedent("""
        from colab_rl.training.code.objects import read_object
        print(read_object(make).digest)
        """)
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(ENVIRONMENT)


def test_no_code_of_the_users_is_called():
    called = []
    cell = '''
        class Touchy:
            def __getattribute__(self, name):
                called.append(name)
                raise RuntimeError(name)
            __repr__ = __eq__ = __hash__ = __len__ = __iter__ = lambda *arguments: called.append("asked")

        class Table(dict):
            def items(self):
                called.append("items")

        touchy, table = Touchy(), Table(a=1)
        make = lambda: (touchy, table)
        '''
    namespace: dict = {"__name__": "__main__", "called": called}
    exec(textwrap.dedent(cell), namespace)
    read_object(namespace["make"])
    assert called == []


def test_a_class_of_which_an_instance_was_pickled_is_the_same():
    class Pair(NamedTuple):
        left: int

    before = read_object(Pair).digest
    copyreg._slotnames(Pair)  # as pickle does, which keeps what it found in the class
    assert "__slotnames__" in vars(Pair) and read_object(Pair).digest == before


def test_the_modules_that_it_uses_are_named_for_their_files_to_be_read():
    cell = '''
        import json
        def make():
            import own_physics.bodies
            from own_shapes import box
            return json
        '''
    namespace: dict = {"__name__": "__main__"}
    exec(textwrap.dedent(cell), namespace)
    assert {"json", "own_physics.bodies", "own_shapes"} <= read_object(namespace["make"]).modules
