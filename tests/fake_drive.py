"""A Google Drive on loopback: API v2 over real HTTP, with faults to switch on.

    with FakeDrive() as drive:
        os.environ["COLAB_RL_DRIVE_ENDPOINT"] = drive.url
        drive.fault("download", "reset", times=2)

It does what PyDrive2 and googleapiclient ask for: paging, resumable uploads, md5Checksum,
generateIds with 409, trash, consent, token refresh, shared drives. Calls have kinds: auth, token, ids,
list, search (a listing by title), get, download, insert, session (the bytes of an upload), update, patch,
delete, trash, about, drives.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import re
import socket
import struct
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from google.oauth2.credentials import Credentials

from colab_rl.storage.drive.client import DriveClient
from colab_rl.storage.drive.storage import DriveStorage, open_drive

FOLDER = "application/vnd.google-apps.folder"
SHORTCUT = "application/vnd.google-apps.shortcut"
STATUSES = {"400": (400, "badRequest"), "401": (401, "authError"), "403": (403, "insufficientFilePermissions"),
            "404": (404, "notFound"), "429": (429, "rateLimitExceeded"), "500": (500, "internalError"),
            "503": (503, "backendError"), "quota": (403, "storageQuotaExceeded"),
            "rate": (403, "userRateLimitExceeded")}


@dataclass
class File:
    """A file or folder of the Drive."""

    id: str
    title: str
    parent: str
    content: bytes | None  # None for a folder or a shortcut
    mime: str = "application/octet-stream"
    trashed: bool = False
    created: int = 0       # counts up; stands for a time
    md5: str | None = None # what the Drive says, where that is not the content's
    target: str | None = None  # id of what a shortcut points to

    def hash(self) -> str:
        return self.md5 or hashlib.md5(self.content or b"").hexdigest()


@dataclass
class Fault:
    """What a call of a kind meets, `times` times; `after` calls pass before."""

    kind: str
    action: str
    times: int
    after: int
    title: str

    def meets(self, kind: str, title: str) -> bool:
        if self.times <= 0 or kind != self.kind or not re.search(self.title, title):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass
class Session:
    """A resumable upload that has begun."""

    metadata: dict
    file_id: str | None  # of the file to update, None for a new one
    received: bytearray = field(default_factory=bytearray)


class FakeDrive:
    """The Drive, its faults, and the server in front of it. A context manager.

    latency: seconds before each answer. bandwidth: bytes a second up and down, None without limit.
    mirror: a folder whose files appear in My Drive too, as those of a mount that writes through do.
    """

    def __init__(self, port: int = 0, latency: float = 0.0, bandwidth: float | None = None,
                 mirror: Path | None = None, page_size: int = 1000):
        self.latency, self.bandwidth, self.page_size, self.mirror = latency, bandwidth, page_size, mirror
        self.files: dict[str, File] = {"root": File("root", "My Drive", "", None, FOLDER)}
        self.sessions: dict[str, Session] = {}
        self.tokens: set[str] = set()
        self.revoked = False           # the login: no refresh is granted
        self.declined = False          # the person at the browser says no
        self.shared_drives: dict[str, str] = {}  # ids by name
        self.grants: list[str] = []    # by what each token was asked for
        self.read_only = False
        self.troubled = -float("inf")  # when a call met a fault last, on the monotonic clock
        self.calls: list[tuple[str, str]] = []  # kind, title or id
        self.seen: list[str] = []      # every Authorization header
        self.stale: dict[str, list[File]] = {}
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._ids: set[str] = set()
        self._clock = 0
        self._closing = threading.Event()
        drive = self

        class Handler(_Handler):
            server_drive = drive

        ThreadingHTTPServer.request_queue_size = 128
        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> FakeDrive:
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._closing.set()
        self.server.shutdown()
        self.server.server_close()

    # What a test says to it.

    def open(self, place: str = "drive:colab_rl", make: bool = True) -> DriveStorage:
        """A store in it, by real PyDrive2 over real HTTP, as a new session opens it."""
        login = Credentials(None, refresh_token="none", client_id="none", client_secret="none",
                            token_uri=self.url + "token")
        return open_drive(DriveClient(login, self.url), place, make)

    def fault(self, kind: str, action: str, times: int = 1, after: int = 0, title: str = "") -> Fault:
        """The next `times` calls of a kind meet an action: one of STATUSES, `html`, `hang`, `drip`, `reset`, `drop`
        (done, then the connection ends), `flip`, `cut`, `empty`, `stale`, `lost` (session), `wrong_md5`.
        """
        self._faults.append(Fault(kind, action, times, after, title))
        return self._faults[-1]

    def clear_faults(self) -> None:
        self._faults.clear()

    def freeze_listings(self) -> None:
        """Listings that meet `stale` show what is there now."""
        self.stale = collections.defaultdict(list)
        for file in self.files.values():
            self.stale[file.parent].append(File(**vars(file)))

    def add(self, path: str, content: bytes | None = b"", parent: str = "root", **options) -> File:
        """A file (a folder where content is None) that some person put there; folders above are made."""
        *folders, title = path.split("/")
        for folder in folders:
            parent = (self.find(folder, parent) or self._new(folder, parent, None)).id
        return self._new(title, parent, content, **options)

    def add_shortcut(self, title: str, target: str, parent: str = "root") -> File:
        """A shortcut to the folder of that id, which may be gone."""
        file = self._new(title, parent, None)
        file.mime, file.target = SHORTCUT, target
        return file

    def add_shared_drive(self, name: str) -> File:
        """The top folder of a new shared drive, whose id is the drive's."""
        top = self._new(name, "", None)
        self.shared_drives[name] = top.id
        return top

    def find(self, title: str, parent: str) -> File | None:
        return next((file for file in self.files.values()
                     if file.title == title and file.parent == parent and not file.trashed), None)

    def tree(self, parent: str = "root", prefix: str = "") -> dict[str, bytes]:
        """Content of every file that is not in the trash, by path; a second one of a path as PATH#2."""
        found: dict[str, bytes] = {}
        for file in [file for file in self.files.values() if file.parent == parent and not file.trashed]:
            if file.content is None:
                below = self.tree(file.id, f"{prefix}{file.title}/")
            else:
                below = {prefix + file.title: file.content}
            for path, content in below.items():
                number, unique = 1, path
                while unique in found:
                    number += 1
                    unique = f"{path}#{number}"
                found[unique] = content
        return found

    def at(self, path: str) -> File:
        """The first file of a path."""
        file = self.files["root"]
        for title in path.split("/"):
            found = self.find(title, file.id)
            assert found, path
            file = found
        return file

    def count(self, kind: str) -> int:
        return sum(one == kind for one, _ in self.calls)

    def expire_tokens(self) -> None:
        self.tokens.clear()

    # What the handler asks of it.

    def meets(self, kind: str, title: str) -> str | None:
        with self.lock:
            self.calls.append((kind, title))
            action = next((fault.action for fault in self._faults if fault.meets(kind, title)), None)
            if action:
                self.troubled = time.monotonic()
            return action

    def new_id(self) -> str:
        with self.lock:
            self._ids.add(new := "id" + uuid.uuid4().hex)
        return new

    def is_trashed(self, file: File) -> bool:
        while file.parent:
            if file.trashed or file.parent not in self.files:
                return True
            file = self.files[file.parent]
        return False

    def _new(self, title: str, parent: str, content: bytes | None, id: str | None = None,
             trashed: bool = False) -> File:
        with self.lock:
            self._clock += 1
            file = File(id or self.new_id(), title, parent, content, FOLDER if content is None else File.mime,
                        trashed, self._clock)
            self.files[file.id] = file
            return file

    def insert(self, metadata: dict, content: bytes | None) -> tuple[int, File | str]:
        parent = metadata.get("parents", [{"id": "root"}])[0]["id"]
        with self.lock:
            if parent not in self.files:
                return 404, "notFound"
            id = metadata.get("id")
            if id in self.files:
                return 409, "fileIdInUse"
            if id is not None and id not in self._ids:
                return 400, "invalid"
            if metadata.get("mimeType") != FOLDER and content is None:
                content = b""
            return 200, self._new(metadata.get("title", "Untitled"), parent, content, id)

    def import_mirror(self) -> None:
        """Brings My Drive to what the mirrored folder holds."""
        if self.mirror is None:
            return
        with self.lock:
            paths = {path.relative_to(self.mirror).as_posix(): path.read_bytes()
                     for path in sorted(self.mirror.rglob("*")) if path.is_file()}
            for path in self.tree():
                if path not in paths:
                    del self.files[self.at(path).id]
            for path, content in paths.items():
                if path in self.tree():
                    self.at(path).content = content
                else:
                    self.add(path, content)

    def describe(self, file: File) -> dict:
        body = {"kind": "drive#file", "id": file.id, "title": file.title, "mimeType": file.mime,
                "labels": {"trashed": self.is_trashed(file)},
                "parents": [{"id": "0AMyDrive" if file.parent == "root" else file.parent}],  # "root" is an alias
                "createdDate": f"2026-01-01T00:00:00.{file.created:06d}Z",
                "modifiedDate": f"2026-01-01T00:00:00.{file.created:06d}Z",
                "capabilities": {"canAddChildren": not self.read_only, "canEdit": not self.read_only}}
        if file.target is not None:
            body["shortcutDetails"] = {"targetId": file.target, "targetMimeType": FOLDER}
        if file.content is not None:
            body |= {"fileSize": str(len(file.content)), "md5Checksum": file.hash(),
                     "downloadUrl": f"{self.url}download/{file.id}"}
        return body

    def listing(self, query: str, stale: bool) -> list[File]:
        parents = set(re.findall(r"'((?:[^'\\]|\\.)+)' in parents", query))
        titles = re.findall(r"title *= *'((?:[^'\\]|\\.)*)'", query)
        mimes = re.findall(r"mimeType *= *'([^']*)'", query)
        with self.lock:
            files = ([file for parent in parents for file in self.stale[parent]] if stale else
                     [file for file in self.files.values() if file.parent in parents])
            return [file for file in files
                    if not (re.search(r"trashed *= *false", query) and self.is_trashed(file))
                    and not (mimes and file.mime not in mimes)
                    and not (titles and file.title not in titles) and file.id != "root"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_drive: FakeDrive
    timeout = 600
    disable_nagle_algorithm = True

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # the other side has gone
            self.close_connection = True

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve(self.headers.get("x-http-method-override", "POST"))

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_PATCH(self) -> None:
        self._serve("PATCH")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        drive = self.server_drive
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if drive.bandwidth:
            time.sleep(len(body) / drive.bandwidth)
        if drive.latency:
            time.sleep(drive.latency)
        url = urllib.parse.urlsplit(self.path)
        query = {name: values[-1] for name, values in urllib.parse.parse_qs(url.query).items()}
        self.body, self.query, self.method = body, query, method
        path = url.path
        routes: list[tuple[str, str, str, Callable]] = [
            ("GET", r"/auth", "auth", self._auth),
            ("POST", r"/token", "token", self._token),
            ("GET", r"/drive/v2/drives", "drives", self._drives),
            ("GET", r"/drive/v2/about", "about", self._about),
            ("GET", r"/drive/v2/files/generateIds", "ids", self._generate_ids),
            ("GET", r"/drive/v2/files", "search" if "title" in query.get("q", "") else "list", self._list),
            ("POST", r"/drive/v2/files", "insert", self._insert),
            ("POST", r"/upload/drive/v2/files", "insert", self._begin),
            ("PUT", r"/upload/drive/v2/files/([^/]+)", "update", self._begin),
            ("PUT", r"/session/([^/]+)", "session", self._session),
            ("GET", r"/drive/v2/files/([^/]+)", "download" if query.get("alt") == "media" else "get", self._get),
            ("GET", r"/download/([^/]+)", "download", self._get),
            ("PUT", r"/drive/v2/files/([^/]+)", "patch", self._patch),
            ("PATCH", r"/drive/v2/files/([^/]+)", "patch", self._patch),
            ("DELETE", r"/drive/v2/files/([^/]+)", "delete", self._delete),
            ("POST", r"/drive/v2/files/([^/]+)/(?:un)?trash", "trash", self._trash),
        ]
        for verb, pattern, kind, function in routes:
            match = re.fullmatch(pattern, path)
            if match and verb == method:
                self._do(kind, function, *match.groups())
                return
        self._error(404, "notFound")

    def _do(self, kind: str, function: Callable, *groups: str) -> None:
        drive = self.server_drive
        self.kind = kind
        action = self.action = drive.meets(kind, self._title(kind, groups))
        if kind not in ("auth", "token"):
            drive.seen.append(self.headers.get("authorization", ""))
            if self.headers.get("authorization", "").removeprefix("Bearer ") not in drive.tokens:
                self._error(401, "authError")
                return
        if action in STATUSES:
            self._error(*STATUSES[action])
        elif action == "html":
            self._send(502, b"<html><body>Bad Gateway</body></html>", "text/html")
        elif action == "hang":
            drive._closing.wait(600)
            self.close_connection = True
        elif action == "reset":
            self._reset()
        elif action == "lost":
            drive.sessions.clear()
            self._error(404, "notFound")
        elif drive.read_only and kind in ("insert", "update", "patch", "delete", "trash"):
            self._error(403, "insufficientFilePermissions")
        else:
            drive.import_mirror()
            function(*groups)

    def _title(self, kind: str, groups: tuple[str, ...]) -> str:
        """What a fault's pattern is compared with."""
        drive = self.server_drive
        if kind in ("insert", "update", "patch") and self.body:
            return json.loads(self.body).get("title", "")
        if kind == "session" and groups[0] in drive.sessions:
            return drive.sessions[groups[0]].metadata.get("title", "")
        if kind in ("list", "search"):
            parent = re.search(r"'([^']+)' in parents", self.query.get("q", ""))
            return drive.files[parent[1]].title if parent and parent[1] in drive.files else ""
        return drive.files[groups[0]].title if groups and groups[0] in drive.files else ""

    def _auth(self) -> None:
        """The page of consent, and what comes of it: the browser is sent back with a code, or a refusal."""
        answer = "error=access_denied" if self.server_drive.declined else "code=a-code"
        self._send(302, b"", headers={"location": f"{self.query['redirect_uri']}?{answer}"})

    def _drives(self) -> None:
        begin, found = int(self.query.get("pageToken", 0)), list(self.server_drive.shared_drives.items())
        answer: dict = {"items": [{"id": id, "name": name} for name, id in found[begin:begin + 1]]}
        if begin + 1 < len(found):
            answer["nextPageToken"] = str(begin + 1)
        self._json(answer)

    def _token(self) -> None:
        drive = self.server_drive
        asked = {name: values[-1] for name, values in urllib.parse.parse_qs(self.body.decode()).items()}
        drive.grants.append(asked.get("grant_type", ""))
        if drive.revoked:
            self._send(400, b'{"error": "invalid_grant", "error_description": "Token has been revoked."}')
            return
        token = "access-" + uuid.uuid4().hex
        drive.tokens.add(token)
        lasting = {"refresh_token": "a-refresh"} if asked.get("code") == "a-code" else {}
        self._json({"access_token": token, "expires_in": 3600, "token_type": "Bearer", **lasting})

    def _about(self) -> None:
        used = sum(len(file.content or b"") for file in self.server_drive.files.values())
        self._json({"quotaBytesTotal": str(15 << 30), "quotaBytesUsed": str(used), "rootFolderId": "root",
                    "user": {"emailAddress": "somebody@example.com"}})

    def _generate_ids(self) -> None:
        count = int(self.query.get("maxResults", 10))
        self._json({"ids": [self.server_drive.new_id() for _ in range(count)]})

    def _list(self) -> None:
        drive = self.server_drive
        files = [] if self.action == "empty" else drive.listing(self.query.get("q", ""), self.action == "stale")
        begin = int(self.query.get("pageToken", 0))
        end = begin + min(int(self.query.get("maxResults", 100)), drive.page_size)
        answer: dict = {"items": [drive.describe(file) for file in files[begin:end]]}
        if end < len(files):
            answer["nextPageToken"] = str(end)
        self._json(answer)

    def _insert(self) -> None:
        self._answer(*self.server_drive.insert(json.loads(self.body or b"{}"), None))

    def _begin(self, file_id: str | None = None) -> None:
        """A resumable upload; `uploadType=media` and `multipart` are not used by PyDrive2."""
        drive = self.server_drive
        if file_id is not None and file_id not in drive.files:
            self._error(404, "notFound")
            return
        metadata = json.loads(self.body or b"{}")
        if file_id is None and metadata.get("id") in drive.files:
            self._error(409, "fileIdInUse")
            return
        session = uuid.uuid4().hex
        drive.sessions[session] = Session(metadata, file_id)
        if self.action == "drop":
            self._reset()
            return
        self._send(200, b"", headers={"location": f"{drive.url}session/{session}"})

    def _session(self, session_id: str) -> None:
        drive = self.server_drive
        session = drive.sessions.get(session_id)
        if session is None:
            self._error(404, "notFound")
            return
        content = self.body
        if self.action == "flip":
            content = bytes([content[0] ^ 1]) + content[1:]
        if self.action == "cut":
            content = content[:len(content) // 2]
        if session.file_id is not None:
            file = drive.files[session.file_id]
            file.content, file.title = content, session.metadata.get("title", file.title)
            status: int = 200
            result: File | str = file
        else:
            status, result = drive.insert(session.metadata, content)
        if isinstance(result, File) and self.action == "wrong_md5":
            result.md5 = "0" * 32
        drive.sessions.pop(session_id, None)
        self._answer(status, result)

    def _get(self, file_id: str) -> None:
        drive = self.server_drive
        file = drive.files.get(file_id)
        if file is None:
            self._error(404, "notFound")
            return
        if self.kind == "get":
            self._answer(200, file)
            return
        content = file.content or b""
        total = len(content)
        span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("range", ""))
        if span and total and int(span[1]) < total:
            content = content[int(span[1]):int(span[2]) + 1]
        elif span:
            self._send(416, b"", headers={"content-range": f"bytes */{total}"})
            return
        if self.action == "flip":
            content = content[:-1] + bytes([content[-1] ^ 1])
        headers = {"content-range": f"bytes {span[1]}-{int(span[1]) + len(content) - 1}/{total}"} if span else {}
        if drive.bandwidth:
            time.sleep(len(content) / drive.bandwidth)
        self._send(206 if span else 200, content, "application/octet-stream", headers)

    def _patch(self, file_id: str) -> None:
        drive = self.server_drive
        file = drive.files.get(file_id)
        if file is None:
            self._error(404, "notFound")
            return
        changes = json.loads(self.body or b"{}")
        file.title = changes.get("title", file.title)
        file.trashed = changes.get("labels", {}).get("trashed", file.trashed)
        self._answer(200, file)

    def _delete(self, file_id: str) -> None:
        drive = self.server_drive
        with drive.lock:
            found = drive.files.pop(file_id, None)
        if found is None:
            self._error(404, "notFound")
        elif self.action == "drop":
            self._reset()
        else:
            self._send(204, b"")

    def _trash(self, file_id: str) -> None:
        file = self.server_drive.files.get(file_id)
        if file is None:
            self._error(404, "notFound")
            return
        file.trashed = not self.path.split("?")[0].endswith("untrash")
        self._answer(200, file)

    def _answer(self, status: int, result: File | str) -> None:
        if self.action == "drop":
            self._reset()
        elif isinstance(result, File):
            self._json(self.server_drive.describe(result))
        else:
            self._error(status, result)

    def _json(self, content: dict) -> None:
        self._send(200, json.dumps(content).encode())

    def _error(self, status: int, reason: str) -> None:
        error = {"errors": [{"domain": "global", "reason": reason, "message": f"the Drive says {reason}"}],
                 "code": status, "message": f"the Drive says {reason}"}
        headers = {"retry-after": "1"} if status == 429 else {}
        self._send(status, json.dumps({"error": error}).encode(), headers=headers)

    def _send(self, status: int, content: bytes, kind: str = "application/json; charset=UTF-8",
              headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.action == "cut" and self.kind != "session":
            self.wfile.write(content[:len(content) // 2])
            self._reset()
        elif self.action == "drip":
            for number in range(len(content)):
                self.wfile.write(content[number:number + 1])
                if self.server_drive._closing.wait(0.2):
                    break
        else:
            self.wfile.write(content)

    def _reset(self) -> None:
        """Ends the connection as a machine that went away does."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        raise ConnectionResetError


def main() -> None:
    """Serves a Drive until it is killed: `python -m tests.fake_drive --port 8123 --latency 0.1`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    parser.add_argument("--bandwidth", type=float, help="bytes a second")
    options = parser.parse_args()
    with FakeDrive(options.port, options.latency, options.bandwidth) as drive:
        print(drive.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
