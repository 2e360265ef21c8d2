"""The calls of a store on Drive, and what Drive holds after them."""

from __future__ import annotations

from fake_drive import FakeDrive

DATA = bytes(range(256)) * 8
PASSING = ("500", "html", "503", "rate", "reset")
CALLS = {
    "put": (("insert", "session", "list", "ids", "token"), lambda store: store.put("a/new", DATA)),
    "replace": (("update", "session", "list"), lambda store: store.put("a/old", DATA + DATA)),
    "make a folder": (("insert", "list"), lambda store: store.put("b/new", DATA)),
    "get": (("download", "list"), lambda store: store.get("a/old")),
    "stat": (("get", "list"), lambda store: store.stat("a/old")),
    "list": (("list",), lambda store: store.list("")),
    "set aside": (("patch", "list"), lambda store: store.set_aside("a/old")),
    "delete": (("delete", "list"), lambda store: store.delete("a/old")),
}
AFTER = {
    "put": {"a/old": DATA, "a/new": DATA}, "replace": {"a/old": DATA + DATA},
    "make a folder": {"a/old": DATA, "b/new": DATA}, "set aside": {"a/old.bad": DATA}, "delete": {},
}


def contents(drive: FakeDrive) -> dict[str, bytes]:
    return {path.removeprefix("colab_rl/"): content for path, content in drive.tree().items()}
