"""A folder of Google Drive, by its API."""

from __future__ import annotations

import copy
import functools
import re
import threading
import time
from collections.abc import Iterable, Sequence

from colab_rl.errors import StorageError, UsageError
from colab_rl.progress import say
from colab_rl.storage.base import NotFound, Stat, Storage, retry_until
from colab_rl.storage.drive.client import DriveClient, Entry
from colab_rl.storage.drive.login import credentials, endpoint
from colab_rl.storage.names import bad_name, check_name

FRESH = 5.0  # seconds for which a listing holds when this session writes
ADDRESS = re.compile(r"https://drive\.google\.com/drive/(?:u/\d+/)?folders/(?P<id>[\w-]+)(?:[?#].*)?")


class DriveStorage(Storage):
    """Files below the folder `path` of the store whose folders are `tops`.

    Titles may repeat in Drive. Folders of one title are read as one, and the oldest takes what
    is new. Of files of one title the largest counts, then the newest: what was cut is smaller.
    Files are looked for by listing the folders that hold them, never by a search for their
    names, which finds new ones only after minutes.
    """

    service = "Drive"
    proves = True       # size and MD5 are Drive's own
    consistent = False  # a listing may be an old one
    concurrency = 16

    def __init__(self, client: DriveClient, tops: Sequence[str], place: str, path: str = ""):
        self.place = _join(place, path)
        self._client = client
        self._path = path
        self._lock = threading.RLock()                      # around the two below
        self._folders: dict[str, Sequence[str]] = {"": tops}    # ids by path, the oldest first
        self._entries: dict[str, Sequence[Entry]] = {}      # by path; the one that counts first
        self._looked: dict[str, float] = {}                 # when a path was listed last

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        check_name(name)
        full = self._full(name)
        folder, _, title = full.rpartition("/")
        with self._lock:
            found = self._of_title(full)
            try:
                if found:
                    entry = self._client.replace(found[0], data)
                    for other in found[1:]:  # or it might be taken for this one later
                        self._client.rename(other, self._free_title(folder, title))
                else:
                    entry = self._client.create(self._folder(folder), title, data)
                if entry.trashed:
                    raise NotFound(f"the folder lies in Drive's trash: restore {self.place}")
            except NotFound as error:  # a folder was removed meanwhile: it is looked for anew next time
                self.forget_listings()
                raise StorageError(f"{self.place}/{name} could not be written: {error}") from error
            self._entries[full] = [entry]

    def get(self, name: str) -> bytes:
        """See Storage."""
        check_name(name)
        for fresh in (False, True):
            try:
                return self._client.read(self._entry(name, fresh))
            except NotFound:
                if fresh:
                    raise NotFound(f"{name} is not in {self.place}") from None
        raise AssertionError("the second look returns or raises")

    def list(self, prefix: str) -> dict[str, int]:
        """See Storage."""
        return {name: entry.size for name, entry in self._below(prefix).items()}

    def stat(self, name: str) -> Stat:
        """See Storage."""
        check_name(name)
        for fresh in (False, True):
            try:
                entry = self._client.entry(self._entry(name, fresh).id)
                return Stat(entry.size, entry.md5 or "")
            except NotFound:
                if fresh:
                    raise NotFound(f"{name} is not in {self.place}") from None
        raise AssertionError("the second look returns or raises")

    def stats(self, names: Iterable[str]) -> dict[str, Stat]:
        """See Storage. One listing a folder."""
        wanted: set[str] = set(names)
        found: dict[str, Stat] = {}
        for folder in {name.rpartition("/")[0] for name in wanted}:
            below = self._below(f"{folder}/" if folder else "", deep=False)
            found |= {name: Stat(entry.size, entry.md5 or "") for name, entry in below.items() if name in wanted}
        return found

    def set_aside(self, name: str) -> None:
        """See Storage."""
        check_name(name)
        full = self._full(name)
        with self._lock:
            found = self._of_title(full)
            if found:
                self._client.rename(found[0], self._free_title(*full.rpartition("/")[::2]))
                self._looked.clear()

    def delete(self, name: str) -> None:
        """See Storage."""
        check_name(name)
        full = self._full(name)
        with self._lock:
            for found in self._entries.get(full) or self._of_title(full):
                self._client.delete(found)
            self._entries.pop(full, None)

    def folders(self) -> Sequence[str]:
        """Names of the folders that lie directly in it."""
        with self._lock:
            ids = self._ids(self._path)
            return sorted({entry.title for id in ids for entry in self._client.list_folder(id, only_folders=True)})

    def subfolder(self, path: str) -> DriveStorage:
        """See Storage."""
        check_name(path)
        storage = copy.copy(self)  # what is known of the store is known to both
        storage._path = _join(self._path, path)
        storage.place = _join(self.place, path)
        return storage

    def free_bytes(self) -> int | None:
        """Bytes that the account has left, None where it has no limit of its own."""
        return self._client.free_bytes()

    def forget_listings(self) -> None:
        """See Storage. The store's own folder stays what it is, wherever it is moved."""
        with self._lock:
            for path in [path for path in self._folders if path]:
                del self._folders[path]
            self._entries.clear()
            self._looked.clear()

    def _full(self, name: str) -> str:
        """A name's path below the store's folders."""
        return _join(self._path, name)

    def _entry(self, name: str, fresh: bool) -> Entry:
        """A file, from memory unless `fresh`. Raises NotFound."""
        full = self._full(name)
        with self._lock:
            if fresh:
                self._entries.pop(full, None)
            if full not in self._entries:
                self._below(f"{name.rpartition('/')[0]}/" if "/" in name else "", deep=False)
            if full not in self._entries:
                raise NotFound(f"{name} is not in {self.place}")
            return self._entries[full][0]

    def _below(self, prefix: str, deep: bool = True) -> dict[str, Entry]:
        """Every file below a folder by name, asked of Drive now; only those directly in it unless `deep`."""
        if prefix:
            check_name(prefix.removesuffix("/"))
        found: dict[str, Entry] = {}
        with self._lock:
            waiting = [self._full(prefix).rstrip("/")]
            while waiting:
                path = waiting.pop()
                entries = self._listed(path)
                within = path.removeprefix(self._path).lstrip("/")
                if deep:
                    waiting += sorted({_join(path, entry.title) for entry in entries
                                       if entry.is_folder and _is_plain(entry.title)})
                for title in {entry.title for entry in entries if entry.md5 and _is_plain(entry.title)}:
                    name = _join(within, title)
                    self._entries[self._full(name)] = chosen = _chosen(entries, title)
                    found[name] = chosen[0]
        return found

    def _listed(self, path: str) -> Sequence[Entry]:
        """All that lies in the folders of a path; what is known of it is renewed."""
        entries = [entry for id in self._ids(path) for entry in self._client.list_folder(id)]
        for known in [known for known in self._entries if known.rpartition("/")[0] == path]:
            del self._entries[known]
        for title in {entry.title for entry in entries if entry.is_folder}:
            self._folders[_join(path, title)] = _folder_ids(entries, title)
        self._looked[path] = time.monotonic()
        return entries

    def _ids(self, path: str) -> Sequence[str]:
        """Ids of the folders of a path, the oldest first; none where it is not there."""
        if path not in self._folders:
            above, _, title = path.rpartition("/")
            entries = [entry for id in self._ids(above) for entry in self._client.list_folder(id, only_folders=True)]
            ids = _folder_ids(entries, title)
            if not ids:
                return []
            self._folders[path] = ids
        return self._folders[path]

    def _folder(self, path: str) -> str:
        """Id of the folder that takes new files of a path, made where it is not there."""
        ids = self._ids(path)
        if not ids:
            above, _, title = path.rpartition("/")
            ids = self._folders[path] = [self._client.create(self._folder(above), title, None).id]
        return ids[0]

    def _of_title(self, full: str) -> Sequence[Entry]:
        """The files of a path, the one that counts first, by a listing that is fresh."""
        folder = full.rpartition("/")[0]
        if time.monotonic() - self._looked.get(folder, -FRESH) >= FRESH:
            within = folder.removeprefix(self._path).lstrip("/")
            self._below(f"{within}/" if within else "", deep=False)
        return self._entries.get(full, [])

    def _free_title(self, folder: str, title: str) -> str:
        """`TITLE.bad`, `TITLE.2.bad` ..., the first that is free."""
        return bad_name(title, {entry.title for id in self._ids(folder) for entry in self._client.list_folder(id)})


def open_place(place: str, make: bool) -> DriveStorage:
    """The storage of a `drive:FOLDER`, with the login that is there. Raises UsageError, or StorageError."""
    titles_in(place)  # a name that is none needs no login to be refused
    return open_drive(DriveClient(credentials(), endpoint()), place, make)


def open_drive(client: DriveClient, place: str, make: bool) -> DriveStorage:
    """The storage of a `drive:FOLDER`: a path of titles from My Drive, or a folder's address in the browser.

    make: makes a path's last folder where it is missing. Raises UsageError, or StorageError where it is not there.
    """
    address = ADDRESS.fullmatch(place.removeprefix("drive:"))
    if address:
        try:
            entry = client.entry(address["id"])
        except NotFound as error:
            raise StorageError(f"store {place} is not there, is in the trash, or was not shared with this login; "
                               "nothing was changed; look at the folder's address in the browser") from error
        if not entry.is_folder:
            raise StorageError(f"store {place} is a file and no folder; nothing was changed")
        return DriveStorage(client, [entry.id], f"drive:{entry.title}")
    titles = titles_in(place)
    tops: Sequence[str] = ["root"]
    for number, title in enumerate(titles):
        entries = retry_until(functools.partial(_titled, client, tops, title))
        ids = _folder_ids(entries, title)
        if not ids and not (make and number == len(titles) - 1):
            reason = ("it is a file" if entries
                      else f"there is no folder {title!r} in {'/'.join(titles[:number]) or 'My Drive'}")
            raise StorageError(f"store {place} is not there ({reason}); nothing was changed; make the folder in Drive, "
                               "or give --store none")
        if not ids:
            if entries:
                raise StorageError(f"store {place} is a file and no folder; nothing was changed; choose another name")
            ids = [client.create(tops[0], title, None).id]
            say(f"made the folder {title} in Drive for the store")
        elif len(ids) > 1:
            say(f"Drive holds {len(ids)} folders named {title}: all are read, and the oldest takes what is new")
        tops = ids
    return DriveStorage(client, tops, f"drive:{'/'.join(titles)}")


def titles_in(place: str) -> Sequence[str]:
    """The folders that a `drive:FOLDER` names, one in the other; none for an address. Raises UsageError for neither."""
    wanted = place.removeprefix("drive:")
    if ADDRESS.fullmatch(wanted):
        return []
    titles = wanted.strip("/").split("/")
    if not all(title.strip() and title not in (".", "..") for title in titles) or wanted.startswith("http"):
        raise UsageError(f"store {place!r}: after drive: comes a folder of My Drive, such as drive:colab_rl, or a "
                         "folder's address, https://drive.google.com/drive/folders/...")
    return titles


def _titled(client: DriveClient, folder_ids: Sequence[str], title: str) -> list[Entry]:
    return [entry for id in folder_ids for entry in client.list_folder(id) if entry.title == title]


def _join(*parts: str) -> str:
    return "/".join(filter(None, parts))


def _is_plain(title: str) -> bool:
    """Whether a title can be part of a file's name here. Others are somebody else's."""
    try:
        check_name(title)
    except ValueError:
        return False
    return "/" not in title


def _folder_ids(entries: Sequence[Entry], title: str) -> Sequence[str]:
    folders = [entry for entry in entries if entry.is_folder and entry.title == title]
    return [entry.id for entry in sorted(folders, key=lambda entry: (entry.created, entry.id))]


def _chosen(entries: Sequence[Entry], title: str) -> Sequence[Entry]:
    """The files of a title, the one that counts first."""
    files = [entry for entry in entries if entry.title == title and entry.md5]
    return sorted(files, key=lambda entry: (entry.size, entry.created, entry.id), reverse=True)
