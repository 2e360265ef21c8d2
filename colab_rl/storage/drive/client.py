"""Google Drive's files by id, over PyDrive2: each call in bounded time, tried again if that can help.

PyDrive2 sends a request once, waits for ever, and checks nothing. Here every call has a time
limit, is tried again with growing pauses if the trouble may pass, and is safe to send
twice: new files get their id before they are sent, so that a second try finds the first.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any, NamedTuple, TypeVar

import httplib2
from google.auth.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build_from_document
from pydrive2.auth import GoogleAuth
from pydrive2.drive import GoogleDrive
from pydrive2.files import GoogleDriveFile

from colab_rl.errors import StorageError
from colab_rl.storage.base import NotFound
from colab_rl.storage.drive.errors import ANSWERS, AlreadyThere, Gone, understand

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 16.0  # seconds between tries
JITTER = random.Random()                # a draw from the global generator would change a run's own
DEADLINE = 60.0                         # seconds after which no further try begins
SILENCE = 30.0                          # seconds without a byte that end a call
CALL_LIMIT, SLOWEST = 60.0, 50_000.0    # seconds of any call, and bytes a second that a file has in addition
UPLOAD_SESSIONS = 4                     # uploads begun anew if Drive forgets them
IDS_AT_ONCE = 100
FIELDS = ("id,title,mimeType,fileSize,md5Checksum,createdDate,labels/trashed,parents/id,"
          "shortcutDetails(targetId,targetMimeType)")

T = TypeVar("T")

# It warns of every answer that is tried again here, over the progress line.
logging.getLogger("googleapiclient.http").setLevel(logging.ERROR)


class Entry(NamedTuple):
    """What Drive says of a file or folder. A folder, and a document of Google's own, has no MD5.

    A shortcut to a folder stands for that folder, with the folder's id and the shortcut's title.
    """

    id: str
    title: str
    is_folder: bool
    is_shortcut: bool
    size: int       # bytes
    md5: str | None
    created: str    # RFC 3339
    trashed: bool
    parents: tuple[str, ...]

    @classmethod
    def of(cls, file: GoogleDriveFile) -> Entry:
        """Reads what PyDrive2 got."""
        target = file.get("shortcutDetails") or {}
        is_shortcut = target.get("targetMimeType") == FOLDER
        return cls(target["targetId"] if is_shortcut else file["id"], file.get("title", ""),
                   is_shortcut or file.get("mimeType") == FOLDER, is_shortcut, int(file.get("fileSize") or 0),
                   file.get("md5Checksum"), file.get("createdDate", ""),
                   bool((file.get("labels") or {}).get("trashed")),
                   tuple(parent["id"] for parent in file.get("parents") or ()))


class DriveClient:
    """Calls to Drive with `credentials`. May be used from several threads.

    endpoint: address of a server that stands in for Google's, None for Google's own.
    Every method raises StorageError: NotFound if the file is not there, StorageRefused
    if trying again cannot help.
    """

    def __init__(self, credentials: Credentials, endpoint: str | None = None):
        self._connections = threading.local()
        # Without a settings file: one that lies in the current folder is somebody else's.
        auth = GoogleAuth(settings_file=None, http_timeout=SILENCE)
        auth.credentials = _LongLived(credentials, self._connections)
        auth.service = build_from_document(_api(endpoint), http=auth.Get_Http_Object())
        files = auth.service.files()
        auth.service.files = lambda: files  # each call of it would make its thirty methods anew
        self._drive = GoogleDrive(auth)
        self._ids: list[str] = []
        self._ids_lock = threading.Lock()

    def list_folder(self, folder_id: str, only_folders: bool = False) -> list[Entry]:
        """All that lies in a folder and not in the trash. Every page, or an error.

        An empty answer is asked for again: Drive gives one now and then for a folder that is not empty.
        """
        return self._children([folder_id], only_folders) or self._children([folder_id], only_folders)

    def list_folders(self, folder_ids: Sequence[str], only_folders: bool = False) -> dict[str, list[Entry]]:
        """`list_folder` of many folders at once, by id. One that is gone is empty.

        A folder of which the answer has nothing is asked for alone: Drive answers a question for many folders with
        nothing now and then (rclone's issue 3114).
        """
        found: dict[str, list[Entry]] = {folder_id: [] for folder_id in folder_ids}
        if len(found) > 1:
            with contextlib.suppress(NotFound):  # one of them is gone
                for entry in self._children(folder_ids, only_folders):
                    for parent in entry.parents:  # My Drive has a name of its own, by which none of its files knows it
                        found.get(parent, found.get("root", [])).append(entry)
        for folder_id in [folder_id for folder_id, entries in found.items() if not entries]:
            with contextlib.suppress(NotFound):
                found[folder_id] = self.list_folder(folder_id, only_folders)
        return found

    def _children(self, folder_ids: Sequence[str], only_folders: bool) -> list[Entry]:
        query = " or ".join(f"'{folder_id}' in parents" for folder_id in folder_ids)
        query = f"({query}) and trashed=false"
        if only_folders:
            query += f" and (mimeType='{FOLDER}' or mimeType='{SHORTCUT}')"
        pages = self._drive.ListFile({"q": query, "maxResults": 1000, "fields": f"nextPageToken,items({FIELDS})"})
        found: list[Entry] = []
        while True:
            try:
                page = self._call(f"folder {folder_ids[0]} be listed", lambda: next(pages))
            except StopIteration:
                return found if not only_folders else [entry for entry in found if entry.is_folder]
            found += [Entry.of(file) for file in page]

    def entry(self, file_id: str) -> Entry:
        """What Drive says of a file now. Raises NotFound, also if it lies in the trash."""
        entry = self._entry(file_id)
        if entry.trashed:
            raise NotFound(f"{entry.title} lies in Drive's trash")
        return entry

    def read(self, entry: Entry) -> bytes:
        """A file's content, compared with its MD5.

        If the two differ twice in the same way, the MD5 is what is wrong, and the content is returned:
        the reader has a hash of it.
        """
        before: bytes | None = None

        def download() -> bytes:
            nonlocal before
            # What PyDrive2 reads is one chunk after the other.
            data = b"".join(self._drive.CreateFile({"id": entry.id}).GetContentIOBuffer()) if entry.size else b""
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != entry.md5 and data != before:
                before = data
                raise OSError("it arrived damaged")
            return data

        return self._call(f"{entry.title} be read", download, entry.size)

    def create(self, folder_id: str, title: str, data: bytes | None) -> Entry:
        """Makes a file, or a folder if data is None, once, however often it must be sent."""
        new_id = self._new_id()
        sent = False

        def insert() -> Entry:
            nonlocal sent
            if sent:  # the try before may have arrived, and only its answer been lost
                with contextlib.suppress(*ANSWERS):
                    return self._fetch(new_id)
            sent = True
            kind = FOLDER if data is None else "application/octet-stream"
            file = self._drive.CreateFile({"id": new_id, "title": title, "mimeType": kind,
                                           "parents": [{"id": folder_id}]})
            if data is not None:
                file.content = io.BytesIO(data)
            file._FilesInsert()  # Upload() takes a file with an id for one that is there
            return Entry.of(file)

        return self._send(f"{title} be written", insert, new_id, folder_id, len(data or b""))

    def replace(self, entry: Entry, data: bytes) -> Entry:
        """Gives a file other content; Drive shows the old one until the new one is whole."""
        def update() -> Entry:
            file = self._drive.CreateFile({"id": entry.id, "mimeType": "application/octet-stream"})
            file.content = io.BytesIO(data)
            file.Upload()
            return Entry.of(file)

        return self._send(f"{entry.title} be written", update, entry.id, entry.id, len(data))

    def rename(self, entry: Entry, title: str) -> None:
        """Gives a file another title."""
        def patch() -> None:
            file = self._drive.CreateFile({"id": entry.id})
            file["title"] = title
            file.Upload()

        self._call(f"{entry.title} be renamed", patch)

    def delete(self, entry: Entry) -> None:
        """Removes a file for good; into the trash if only its owner may do more, as in a shared drive."""
        file = self._drive.CreateFile({"id": entry.id})
        with contextlib.suppress(NotFound):
            try:
                self._call(f"{entry.title} be deleted", file.Delete)
            except NotFound:
                raise
            except StorageError:
                self._call(f"{entry.title} be deleted", file.Trash)

    def shared_drives(self, name: str) -> list[str]:
        """Ids of the shared drives of that name, which are those of their top folders too."""
        drives = self._drive.auth.service.drives()
        request, found = drives.list(maxResults=100), []
        while request is not None:
            answer = self._call("the shared drives be listed", functools.partial(request.execute, http=self._http()))
            found += [drive["id"] for drive in answer.get("items", []) if drive.get("name") == name]
            request = drives.list_next(request, answer)
        return found

    def free_bytes(self) -> int | None:
        """Bytes that the account has left, None if it has no limit of its own."""
        about = self._call("the free space be asked for", self._drive.GetAbout)
        total = int(about.get("quotaBytesTotal") or 0)
        return total - int(about.get("quotaBytesUsedAggregate") or about.get("quotaBytesUsed") or 0) if total else None

    def _entry(self, file_id: str) -> Entry:
        return self._call(f"{file_id} be looked up", lambda: self._fetch(file_id))

    def _fetch(self, file_id: str) -> Entry:
        file = self._drive.CreateFile({"id": file_id})
        file.FetchMetadata(fields=FIELDS)
        return Entry.of(file)

    def _send(self, doing: str, send: Callable[[], Entry], file_id: str, needed_id: str, size: int) -> Entry:
        """An upload. A 404 says that the upload session is lost, or that what it needs is; a 409 that it is done."""
        for _ in range(UPLOAD_SESSIONS):
            try:
                return self._call(doing, send, size)
            except AlreadyThere:
                return self._entry(file_id)
            except Gone:
                self.entry(needed_id)  # raises NotFound if it is that
        raise StorageError(f"Drive did not let {doing}: it loses one upload after the other")

    def _new_id(self) -> str:
        with self._ids_lock:
            if not self._ids:
                request = self._drive.auth.service.files().generateIds(maxResults=IDS_AT_ONCE, space="drive")
                self._ids = self._call("ids for new files be had", lambda: request.execute(http=self._http())["ids"])
            return self._ids.pop()

    def _http(self) -> AuthorizedHttp:
        """This thread's connection, the one that PyDrive2 uses too."""
        local = self._drive.auth.thread_local
        if not getattr(local, "http", None):
            local.http = self._drive.auth.Get_Http_Object()
        return local.http

    def _call(self, doing: str, function: Callable[[], T], size: int = 0) -> T:
        """Tries until it is done, cannot be done, or the deadline has passed."""
        deadline, pause = time.monotonic() + DEADLINE, FIRST_PAUSE
        while True:
            try:
                with self._limited(CALL_LIMIT + size / SLOWEST):
                    return function()
            except ANSWERS as error:
                trouble, wait = understand(error, doing)
                wait = max(wait, pause * JITTER.uniform(0.5, 1.5))
                if type(trouble) is not StorageError or time.monotonic() + wait > deadline:
                    raise trouble from error
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)

    @contextlib.contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """Ends this thread's connections once the time is up: a timeout of silence never ends a drip."""
        done = threading.Event()
        opened: list[httplib2.Http] = self._connections.__dict__.setdefault("opened", [])

        def watch() -> None:
            wait = seconds
            while not done.wait(wait):
                wait = 0.1  # httplib2 sends again what a closed connection cut off
                for http in opened:
                    for connection in list(http.connections.values()):
                        if connection.sock:
                            with contextlib.suppress(OSError):
                                connection.sock.shutdown(socket.SHUT_RDWR)

        watcher = threading.Thread(target=watch, name="time limit", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


class _LongLived:
    """Credentials as PyDrive2 wants them. It never sees them expire: they refresh themselves, at each request
    that needs it. PyDrive2 would ask for a client_secrets.json after an hour.
    """

    access_token_expired = False

    def __init__(self, credentials: Credentials, connections: threading.local):
        self._credentials = credentials
        self._connections = connections

    def authorize(self, http: httplib2.Http) -> AuthorizedHttp:
        """This thread's connection, authorized."""
        self._connections.__dict__.setdefault("opened", []).append(http)
        return AuthorizedHttp(self._credentials, http=http)


def _api(endpoint: str | None) -> dict[str, Any]:
    """The description of Drive's API that googleapiclient brings along, for another server if one is given."""
    folder = resources.files("googleapiclient.discovery_cache") / "documents"
    document = json.loads((folder / "drive.v2.json").read_text())
    if endpoint:
        document["rootUrl"] = document["mtlsRootUrl"] = endpoint.rstrip("/") + "/"
        document.pop("baseUrl", None)
    return document
