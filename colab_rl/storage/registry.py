"""The schemes by which a person names a store: `drive:FOLDER`, `none`, a folder's path, or one that he registered."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from colab_rl.errors import UsageError
from colab_rl.storage.base import Storage
from colab_rl.storage.drive import mount
from colab_rl.storage.path import open_path

# Opens `SCHEME:REST`, given whole. The second argument: whether to make the store's folder, if the one above is there.
Opener = Callable[[str, bool], Storage]


class Scheme(NamedTuple):
    """How stores of a scheme are opened. google_login: whether a person on Colab logs in to Google for them."""

    opener: Opener | str  # a text is imported when a store is opened: Google's libraries take half a second
    google_login: bool = False


_SCHEMES = {
    "drive": Scheme("colab_rl.storage.drive.storage:open_place", google_login=True),
}


def register_storage(scheme: str, opener: Opener, google_login: bool = False) -> None:
    """Lets `opener` open every store that is named `SCHEME:...`, in this process.

    Raises UsageError if the scheme is not two or more small letters or digits, a letter first.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]+", scheme):
        raise UsageError(f"{scheme!r} is no scheme of a storage: small letters and digits, a letter first")
    _SCHEMES[scheme] = Scheme(opener, google_login)


def needs_google_login(place: str) -> bool:
    """Whether a person on Colab logs in to Google before this store is opened."""
    scheme = _SCHEMES.get(_scheme_of(place))
    return scheme is not None and scheme.google_login


def is_path(place: str) -> bool:
    """Whether a store of that name is a folder, and not `none` or of a registered scheme."""
    return place.lower() != "none" and _scheme_of(place) not in _SCHEMES


def open_store(place: str | None, make: bool) -> Storage | None:
    """The store of that name, None for `none`. Without a name it is the mounted Drive's `colab_rl` folder on Colab.

    make: makes the store's folder if it is missing and the one above it is there.
    Raises UsageError, or StorageError if the store is not there.
    """
    place = place or mount.default_store(say_missing=make)
    if not place or place.lower() == "none":
        return None
    scheme = _SCHEMES.get(name := _scheme_of(place))
    if scheme:
        return (pkgutil.resolve_name(scheme.opener) if isinstance(scheme.opener, str) else scheme.opener)(place, make)
    if name and not Path(place).exists():
        if re.match(r"https?://|drive\.google\.com/", place, re.IGNORECASE):
            raise UsageError(f"store {place}: an address in Drive follows drive:, such as "
                             "drive:https://drive.google.com/drive/folders/...")
        known = ", ".join(f"{scheme}:" for scheme in sorted(_SCHEMES))
        raise UsageError(f"store {place}: no storage is named {name}: (choose from {known}); "
                         f"a folder of this name is ./{place}")
    return open_path(place, make)


def _scheme_of(place: str) -> str:
    """What stands before the colon, empty for a path. An address without its `https:` is no path either."""
    match = re.match(r"([A-Za-z][\w+.-]+):|drive\.google\.com/", place, re.IGNORECASE)
    return (match[1] or match[0]) if match else ""
