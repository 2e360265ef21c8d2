"""The command line: `python -m colab_rl COMMAND ...`.

Exit codes: 0 done; 1 failed, with one line that says what happened, what was kept and what
to do; 2 wrong usage; 130 and 143 after Ctrl-C and SIGTERM: `train` and `sweep` save first.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence

from colab_rl.cli import command_list  # noqa: F401  which enters the commands
from colab_rl.cli.streams import mend_streams, nobody_reads, tell
from colab_rl.cli.syntax import parser, refuse
from colab_rl.errors import ColabRLError, warnings_raise_nothing
from colab_rl.training.stopping import StoppedAtOnce

__all__ = ["console", "main", "parser", "program"]


def console() -> int:
    """What the installed program `colab-rl` runs: environments in this folder are found, as by `python -m colab_rl`."""
    if not sys.flags.safe_path:
        sys.path.insert(0, "")
    return program()


def program() -> int:
    """What `python -m colab_rl` runs: `main`, and a quick end of the process."""
    try:
        return main()
    finally:
        # Else Python's end searches all that torch made for cycles, several times: a quarter of a second. One search
        # is left: it ends environments that are part of a cycle. Another Ctrl-C does not interrupt it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gc.collect()
        gc.freeze()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python may wait for threads now


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit code."""
    mend_streams()
    options, unknown = parser().parse_known_args(arguments)
    if unknown:
        refuse(options, unknown)
    try:
        os.getcwd()
    except FileNotFoundError:  # in which torch ends the program when it is imported
        tell("error: the current folder is gone; nothing was changed; change to an existing one")
        return 1
    try:
        with warnings_raise_nothing():
            code = options.command(options)
        sys.stdout.flush()
        return code
    except ColabRLError as error:
        tell(f"error: {error}")
        return error.exit_code
    except ModuleNotFoundError as error:
        package = (error.name or str(error)).partition(".")[0]
        if package == "colab_rl":
            raise  # none that somebody could install
        tell(f"error: {error}; what was saved before is kept; {_installing(package)}")
        return 1
    except OSError as error:
        if isinstance(error, BrokenPipeError) and nobody_reads():
            return 128 + signal.SIGPIPE
        tell(f"error: {error}; what was saved before is kept")
        return 1
    except KeyboardInterrupt as error:
        trains = options.command_name in ("train", "sweep")
        tell("stopped at once, without saving; the newest checkpoint is kept" if trains else "stopped")
        return 128 + (error.signal_number if isinstance(error, StoppedAtOnce) else signal.SIGINT)


def _installing(package: str) -> str:
    """What to do if a package cannot be imported."""
    from colab_rl import requirements

    try:
        missing = [f'"{need.requirement}"' for need in requirements.needs() if need.needed and need.here is None]
    except (ModuleNotFoundError, ColabRLError):  # it is `packaging`; nothing says what is needed
        missing = []
    return f"pip install {' '.join(missing or [package])}, then run the same command again"
