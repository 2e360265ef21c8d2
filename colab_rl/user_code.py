"""A person's own environment, algorithm or network: found as `module:Class`, and what it raises, in one line."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from typing import Any

from colab_rl.errors import OwnCodeFault, UsageError, nearest

# Files whose lines say nothing of what a person's algorithm or network did wrong.
LIBRARIES = ("<frozen ", *(os.path.join(folder, "") for folder in (
    os.path.dirname(__file__), *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")))))
INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


def in_one_line(error: BaseException, not_its_own: tuple[str, ...]) -> str:
    """What was raised, and the last line on the way there of a file whose name does not begin like `not_its_own`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    frame = [*frames[-1:], *(frame for frame in frames if not frame.filename.startswith(not_its_own))][-1]
    return f"{_what(error)} ({frame.filename}, line {frame.lineno})"


def theirs(error: BaseException, part: Any = None) -> str:
    """What an algorithm or a network raised, and the last line of the person's own code on the way there.

    part: the class or function. Its own place stands if no line of the person's was on the way.
    """
    if is_theirs(error):
        places = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        return with_cells(in_one_line(error, (*LIBRARIES, *filter(INSTALLED.search, places))))
    raised = traceback.extract_tb(error.__traceback__)[-1]
    return f"{_what(error)}, at line {raised.lineno} of {os.path.basename(raised.filename)}{place_of(part)}"


def place_of(part: Any) -> str:
    """Where a class or function is defined, as the end of a line; empty if no file or cell is known."""
    try:
        return f" ({inspect.getsourcefile(part)}, line {inspect.getsourcelines(part)[1]})"
    except (OSError, TypeError):  # a cell's class, of which Python knows the methods' lines alone
        codes = (one.__code__ for one in getattr(part, "__dict__", {}).values() if inspect.isfunction(one))
        code = next(codes, None)
        return with_cells(f" ({code.co_filename}, line {code.co_firstlineno})") if code else ""


def is_theirs(error: BaseException) -> bool:
    """Whether a line of the person's own code was on the way to what was raised."""
    return isinstance(error, SyntaxError) or any(
        not frame.filename.startswith(LIBRARIES) and not INSTALLED.search(frame.filename)
        for frame in traceback.extract_tb(error.__traceback__))


def with_cells(message: str) -> str:
    """The message of `in_one_line` with a notebook's cell, `cell In[3]`, in place of the file that IPython names it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    place = re.search(r"\(([^()]+), line \d+\)$", message)
    if shell is None or place is None:
        return message
    numbered = re.search(r"ipython-input-(\d+)-", place[1])  # as Colab's IPython 7 has it
    named = getattr(shell.compile, "format_code_name", lambda file: None)(place[1])
    cell = f"In[{numbered[1]}]" if numbered else named and named[1]
    return f"{message[:place.start(1)]}cell {cell}{message[place.end(1):]}" if cell else message


def imported(name: str, what: str) -> Any:
    """What `module:Class` names. Raises UsageError that says which of both is not found, OwnCodeFault if importing the
    module raises.
    """
    module, _, attribute = name.partition(":")
    if not all(module.split(".")):
        raise UsageError(f"{what} {name!r} names no module before its colon")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(f"{what} {name!r}: no module named {error.name!r} is found; give the command in its "
                         "folder, or put that folder into PYTHONPATH") from error
    except (Exception, SystemExit) as error:  # a module may leave when it is imported
        raise OwnCodeFault(f"{what} {name!r} could not be imported: {theirs(error)}; nothing was changed; correct "
                           "the module, then give the same command again") from error
    if not hasattr(found, attribute):
        known = [one for one, value in vars(found).items() if callable(value)]
        raise UsageError(f"{what} {name!r}: the module has no {attribute!r}{nearest(attribute, known)}")
    return getattr(found, attribute)


def import_path(thing: Any) -> str | None:
    """The `module:name` by which another process finds a class or function; None if there is none, as for a cell's."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    found = getattr(sys.modules.get(module or ""), name, None)
    return f"{module}:{name}" if callable(thing) and found is thing and module != "__main__" else None


def _what(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
