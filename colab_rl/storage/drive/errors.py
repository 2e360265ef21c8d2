"""What Drive's answers mean: what passes, what a person must change, what is not there."""

from __future__ import annotations

import http.client
import json
from typing import Any

import httplib2
from google.auth.exceptions import GoogleAuthError, RefreshError
from googleapiclient.errors import HttpError

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage.base import NotFound

# What a call may raise. The last four: an answer that is not what it should be, such as a page of HTML.
ANSWERS = (HttpError, OSError, httplib2.HttpLib2Error, http.client.HTTPException, GoogleAuthError,
           ValueError, KeyError, TypeError, AttributeError)
PASSES = {408, 425, 429}
RATE_REASONS = {"rateLimitExceeded", "userRateLimitExceeded", "backendError", "internalError"}
LOG_IN = "the login to Drive has ended or was withdrawn; log in again (docs/guides/drive.md)"
READ_ONLY = "this login may read the folder and not write to it; ask its owner to be an editor"
DRIVE_ADVICE = {
    "storageQuotaExceeded": "Drive is full; free space there and empty its trash (a service account has no space of "
                            "its own: give it a folder in a shared drive)",
    "quotaExceeded": "Drive is full; free space there and empty its trash",
    "teamDriveFileLimitExceeded": "the shared drive holds as many files as it may",
    "numChildrenInNonRootLimitExceeded": "the folder holds as many files as it may",
    "insufficientFilePermissions": READ_ONLY,
    "insufficientParentPermissions": READ_ONLY,
    "insufficientPermissions": "this login was not given access to Drive; log in again (docs/guides/drive.md)",
    "accessNotConfigured": "the login's project has no Drive API; enable it there (docs/guides/drive.md)",
    "domainPolicy": "the account's administrators do not allow apps to use Drive",
}


class Gone(NotFound):
    """Drive's 404: a file, its folder, or an upload's session."""


class AlreadyThere(StorageError):
    """Drive's 409: a file of that id is there."""


def understand(error: BaseException, doing: str) -> tuple[StorageError, float]:
    """What to raise for an exception of ANSWERS, and the seconds that Drive asks to wait.

    A plain StorageError passes; others do not. No text of a login gets into it.
    """
    answer = _http_error(error)
    if answer is None:
        if isinstance(error, GoogleAuthError):
            if isinstance(error, RefreshError) and not error.retryable and any(
                    isinstance(argument, dict) for argument in error.args):
                return StorageRefused(f"Drive: {LOG_IN}"), 0.0
            return StorageError(f"Drive did not let {doing}: the login cannot be refreshed now"), 0.0
        text = str(error) if type(error) in (OSError, TimeoutError) else ""
        return StorageError(f"Drive did not let {doing}: {text or _words(error)}"), 0.0
    status, reason, message = int(answer.resp.status), *_reason(answer)
    wait = str(answer.resp.get("retry-after", ""))
    after = float(wait) if wait.isdigit() else 0.0
    text = f"Drive did not let {doing}: {message or reason or f'error {status}'}"
    if status == 404:
        return Gone(text), after
    if status == 409:
        return AlreadyThere(text), after
    if status == 401:
        return StorageRefused(f"Drive: {LOG_IN}"), after
    if status >= 500 or status in PASSES or reason in RATE_REASONS or (status == 403 and not reason):
        return StorageError(text), after
    advice = DRIVE_ADVICE.get(reason, message or f"error {status} {reason}")
    return StorageRefused(f"Drive did not let {doing}: {advice}"), 0.0


def _http_error(error: BaseException | None) -> HttpError | None:
    """The answer behind an exception: PyDrive2 wraps it, or stumbles over its page of HTML."""
    while error is not None:
        if isinstance(error, HttpError):
            return error
        wrapped = error.args[0] if error.args else None
        if isinstance(wrapped, HttpError):
            return wrapped
        error = error.__cause__ or error.__context__
    return None


def _reason(answer: HttpError) -> tuple[str, str]:
    """Drive's own reason and message, empty if it gives none."""
    try:
        body: Any = json.loads(answer.content)["error"]
        first = (body.get("errors") or [{}])[0]
        return str(first.get("reason", "")), str(first.get("message") or body.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def _words(error: BaseException) -> str:
    if isinstance(error, httplib2.ServerNotFoundError):
        return "there is no network"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, (OSError, http.client.HTTPException)):
        return getattr(error, "strerror", None) or "the connection broke"
    return "an answer that makes no sense"
