"""A folder of Google Drive, by its API."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import re
import threading
import time
from collections.abc import Iterable, Sequence

from colab_rl.errors import StorageError, UsageError
from colab_rl.progress import say
from colab_rl.storage.base import NotFound, Stat, Storage, retry_until
from colab_rl.storage.drive.client import DriveClient, Entry
from colab_rl.storage.drive.login import credentials, endpoint
from colab_rl.storage.names import bad_name, check_name, same_looking

FRESH = 5.0  # seconds for which a listing holds when this session writes
GROUP = 25   # folders in one question: an address of 2048 characters has room for some 30
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
        self._lock = threading.RLock()                                  # around those below
        self._folders: dict[str, Sequence[str]] = {"": tops}            # ids by path, the oldest first
        self._files: dict[str, dict[str, Sequence[Entry]]] = {}         # by folder's path and title; what counts first
        self._listed_at: dict[str, float] = {}                          # when a path was listed last
        self._folders_listed_at: dict[str, float] = {}                  # and the folders in it at least

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
            self._files.setdefault(folder, {})[title] = [entry]

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
        if prefix:
            check_name(prefix.removesuffix("/"))
        sizes: dict[str, int] = {}
        with self._lock:
            level, seen = {self._full(prefix).rstrip("/")}, set()
            while level:
                listed = self._list(level)
                seen |= {folder_id for path in listed for folder_id in self._folders.get(path, ())}
                sizes |= {name: stat.size for name, stat in self._stats_in(listed).items()}
                below = {_join(path, entry.title) for path, entries in listed.items() for entry in entries
                         if entry.is_folder and _is_plain(entry.title)}
                level = {path for path in below if not seen.issuperset(self._folders[path])}  # a shortcut may lead up
        return sizes

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
        wanted = set(names)
        with self._lock:
            listed = self._list({self._full(name).rpartition("/")[0] for name in wanted})
        return {name: stat for name, stat in self._stats_in(listed).items() if name in wanted}

    def list_files(self, folders: Iterable[str]) -> dict[str, Stat]:
        """See Storage."""
        with self._lock:
            ids = self._ids(map(self._full, folders), known_for=FRESH)
            return self._stats_in(self._list(path for path, found in ids.items() if found))

    def set_aside(self, name: str) -> None:
        """See Storage."""
        check_name(name)
        full = self._full(name)
        with self._lock:
            found = self._of_title(full)
            if found:
                self._client.rename(found[0], self._free_title(*full.rpartition("/")[::2]))
                self._listed_at.clear()

    def delete(self, name: str) -> None:
        """See Storage."""
        check_name(name)
        folder, _, title = self._full(name).rpartition("/")
        with self._lock:
            for found in self._files.get(folder, {}).get(title) or self._of_title(self._full(name)):
                self._client.delete(found)
            self._files.get(folder, {}).pop(title, None)

    def folders(self) -> Sequence[str]:
        """Names of the folders that lie directly in it."""
        with self._lock:
            entries = self._list([self._path], only_folders=True)[self._path]
            return sorted({entry.title for entry in entries})

    def subfolder(self, path: str) -> DriveStorage:
        """See Storage."""
        check_name(path)
        storage = copy.copy(self)  # what is known of the store is known to both
        storage._path = _join(self._path, path)
        storage.place = _join(self.place, path)
        return storage

    def free_bytes(self) -> int | None:
        """Bytes that the account has left, None if it has no limit of its own."""
        return self._client.free_bytes()

    def forget_listings(self) -> None:
        """See Storage. The store's own folder stays what it is, wherever it is moved."""
        with self._lock:
            for path in [path for path in self._folders if path]:
                del self._folders[path]
            for known in (self._files, self._listed_at, self._folders_listed_at):
                known.clear()

    def _full(self, name: str) -> str:
        """A name's path below the store's folders."""
        return _join(self._path, name)

    def _entry(self, name: str, fresh: bool) -> Entry:
        """A file, from memory unless `fresh`. Raises NotFound."""
        folder, _, title = self._full(name).rpartition("/")
        with self._lock:
            if fresh or title not in self._files.get(folder, {}):
                self._list([folder])
            if title not in self._files.get(folder, {}):
                raise NotFound(f"{name} is not in {self.place}")
            return self._files[folder][title][0]

    def _list(self, paths: Iterable[str], only_folders: bool = False) -> dict[str, Sequence[Entry]]:
        """What lies in the folders of each path, asked of Drive now. What is known of them is renewed."""
        ids = self._ids(paths)
        every = [folder_id for found in ids.values() for folder_id in found]
        if len(every) == 1:
            listed = {every[0]: self._client.list_folder(every[0], only_folders)}
        else:
            groups = [every[begin:begin + GROUP] for begin in range(0, len(every), GROUP)]
            answers = self.map(lambda group: self._client.list_folders(group, only_folders), groups)
            listed = {folder_id: entries for answer in answers for folder_id, entries in answer.items()}
        found: dict[str, Sequence[Entry]] = {
            path: [entry for folder_id in own for entry in listed[folder_id]] for path, own in ids.items()}
        now = time.monotonic()
        for path, entries in found.items():
            folders = _by_title(entry for entry in entries if entry.is_folder and "/" not in entry.title)
            for title, same in folders.items():
                self._folders[_join(path, title)] = _folder_ids(same)
            self._folders_listed_at[path] = now
            if not only_folders:
                files = _by_title(entry for entry in entries if entry.md5 and _is_plain(entry.title))
                self._files[path] = {title: _most_complete_first(same) for title, same in files.items()}
                self._listed_at[path] = now
        return found

    def _ids(self, paths: Iterable[str], known_for: float = 0.0) -> dict[str, Sequence[str]]:
        """Ids of the folders of each path, the oldest first; none if it is not there.

        known_for: a folder that was listed less than these seconds ago lacks what it did not show.
        """
        paths, listed_after = set(paths), time.monotonic() - known_for
        above = {path.rpartition("/")[0] for path in paths if path not in self._folders}
        above = {path for path in above if self._folders_listed_at.get(path, -math.inf) <= listed_after}
        if above:
            self._list(above, only_folders=True)
        return {path: self._folders.get(path, ()) for path in paths}

    def _stats_in(self, paths: Iterable[str]) -> dict[str, Stat]:
        """Every file that is known directly in these folders, by its name here."""
        return {_join(path, title).removeprefix(self._path).lstrip("/"): Stat(found[0].size, found[0].md5 or "")
                for path in paths for title, found in self._files.get(path, {}).items()}

    def _folder(self, path: str) -> str:
        """Id of the folder that takes new files of a path, made if it is not there."""
        ids = self._ids([path])[path]
        if not ids:
            above, _, title = path.rpartition("/")
            ids = self._folders[path] = [self._client.create(self._folder(above), title, None).id]
        return ids[0]

    def _of_title(self, full: str) -> Sequence[Entry]:
        """The files of a path, the one that counts first, by a listing that is fresh."""
        folder, _, title = full.rpartition("/")
        if time.monotonic() - self._listed_at.get(folder, -FRESH) >= FRESH:
            self._list([folder])
        return self._files.get(folder, {}).get(title, [])

    def _free_title(self, folder: str, title: str) -> str:
        """`TITLE.bad`, `TITLE.2.bad` ..., the first that is free."""
        return bad_name(title, {entry.title for entry in self._list([folder])[folder]})


def open_place(place: str, make: bool) -> DriveStorage:
    """The storage of a `drive:FOLDER`, with the login that is there. Raises UsageError, or StorageError."""
    titles_in(place)  # a name that is none needs no login to be refused
    return open_drive(DriveClient(credentials(), endpoint()), place, make)


def open_drive(client: DriveClient, place: str, make: bool) -> DriveStorage:
    """The storage of a `drive:FOLDER`: a path of titles from My Drive, or a folder's address in the browser.

    make: makes a path's last folder if it is missing. Raises UsageError, or StorageError if it is not there.
    """
    address = ADDRESS.fullmatch(place.removeprefix("drive:"))
    if address:
        try:
            entry = client.entry(address["id"])
        except NotFound as error:
            raise StorageError(f"store {place} does not exist, is in the trash, or was not shared with this login; "
                               "nothing was changed; look at the folder's address in the browser") from error
        if not entry.is_folder:
            raise StorageError(f"store {place} is a file and no folder; nothing was changed")
        return DriveStorage(client, [entry.id], f"drive:{entry.title}")
    titles = titles_in(place)
    tops: Sequence[str] = ["root"]
    for number, title in enumerate(titles):
        entries = retry_until(functools.partial(_titled, client, tops, title))
        folders = [entry for entry in entries if entry.is_folder and _is_reachable(client, entry)]
        make_it = make and number == len(titles) - 1 and not entries
        if not folders and not make_it:
            reason = (f"there is no folder {title!r} in {'/'.join(titles[:number]) or 'My Drive'}" if not entries
                      else "it is a shortcut to a folder that is gone or was not shared with this login"
                      if entries[0].is_shortcut else "it is a file and no folder")
            raise StorageError(f"store {place} not found ({reason}); nothing was changed; make the folder in Drive, "
                               "choose another name, or give --store none")
        if make_it:
            folders = [client.create(tops[0], title, None)]
            say(f"made the folder {title} in Drive for the store")
        tops = _folder_ids(folders)
        if len(tops) > 1:
            say(f"Drive holds {len(tops)} folders named {title}: all are read, and the oldest takes what is new")
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
    """The folders of a title, or that look so to a person; if there is none, the files of that title."""
    entries = [entry for folder_id in folder_ids for entry in client.list_folder(folder_id)]
    titles = same_looking({entry.title for entry in entries if entry.is_folder}, title)
    return ([entry for entry in entries if entry.is_folder and entry.title in titles]
            or [entry for entry in entries if entry.title == title])


def _is_reachable(client: DriveClient, folder: Entry) -> bool:
    """Whether a folder is more than a shortcut to one that is gone."""
    with contextlib.suppress(NotFound):
        return not folder.is_shortcut or client.entry(folder.id).is_folder
    return False


def _join(*parts: str) -> str:
    return "/".join(filter(None, parts))


def _is_plain(title: str) -> bool:
    """Whether a title can be part of a file's name here. Others are somebody else's."""
    try:
        check_name(title)
    except ValueError:
        return False
    return "/" not in title


def _by_title(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.title, []).append(entry)
    return found


def _folder_ids(folders: Iterable[Entry]) -> Sequence[str]:
    """The oldest first. A folder and a shortcut to it are one."""
    return list(dict.fromkeys(entry.id for entry in sorted(folders, key=lambda entry: (entry.created, entry.id))))


def _most_complete_first(files: Iterable[Entry]) -> Sequence[Entry]:
    return sorted(files, key=lambda entry: (entry.size, entry.created, entry.id), reverse=True)
