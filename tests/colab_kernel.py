"""A kernel as Colab starts one, run as a program: google.colab is among its modules, and Drive is a folder.

Mounting makes `$COLAB_RL_MOUNT/MyDrive`; logging in is declined. Each call is a line of the file `$COLAB_CALLS`.
"""

import os
import sys
import types
from pathlib import Path


class MessageError(Exception):
    """What google.colab raises where a person declines."""


def note(call):
    with open(os.environ["COLAB_CALLS"], "a") as file:
        print(call, file=file)


def mount(mountpoint, force_remount=False, timeout_ms=120_000, readonly=False):
    note("mount")
    if os.environ.get("COLAB_DECLINES"):
        raise MessageError("Error: credential propagation was unsuccessful")
    Path(mountpoint, "MyDrive").mkdir(parents=True, exist_ok=True)


def authenticate_user(clear_output=True):
    note("authenticate")
    raise MessageError("declined")


def install():
    colab = types.ModuleType("google.colab")
    parts = {"drive": {"mount": mount, "flush_and_unmount": lambda timeout_ms=0: note("unmount")},
             "auth": {"authenticate_user": authenticate_user}, "runtime": {"unassign": lambda: note("unassign")}}
    sys.modules["google.colab"] = colab
    for name, functions in parts.items():
        module = sys.modules[f"google.colab.{name}"] = types.ModuleType(f"google.colab.{name}")
        vars(module).update(functions)
        setattr(colab, name, module)


if __name__ == "__main__":
    install()
    sys.path[0] = ""  # as `python -m ipykernel_launcher` has it: the notebook's folder, not this file's
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
