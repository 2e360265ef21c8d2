"""What a person's own code raises, in one line with its place: an environment's, an algorithm's or a network's."""

from __future__ import annotations

import inspect
import os
import re
import sys
import sysconfig
import traceback
from typing import Any

# Files whose lines say nothing of what a person's algorithm or network did wrong.
LIBRARIES = ("<frozen ", *(os.path.join(folder, "") for folder in (
    os.path.dirname(__file__), *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")))))
PACKAGES = re.compile(r"[/\\](site|dist)-packages[/\\]")


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
        return with_cells(in_one_line(error, (*LIBRARIES, *filter(PACKAGES.search, places))))
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
        not frame.filename.startswith(LIBRARIES) and not PACKAGES.search(frame.filename)
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


def _what(error: BaseException) -> str:
    return " ".join("".join(traceback.format_exception_only(error)).split())
