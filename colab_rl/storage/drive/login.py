"""Who may use Drive: a login saved here, Colab's own, or a service account.

A saved login lies outside every run, readable by its owner alone. Nothing of a login is ever
written to a run, printed, or put into an error's text.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import google.auth
import google.oauth2.credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError

from colab_rl.errors import StorageRefused, UsageError

SCOPES = ("https://www.googleapis.com/auth/drive",)
ENDPOINT = "COLAB_RL_DRIVE_ENDPOINT"
NO_LOGIN = (OSError, ValueError, TypeError, AttributeError, RecursionError)  # JSON of whatever kind is no login
HOW = "log in first (docs/guides/drive.md tells how), or give a folder or none as --store"


def endpoint() -> str | None:
    """Address of the server that stands in for Drive, None for Google's own."""
    return os.environ.get(ENDPOINT) or None


def saved_login() -> Path:
    """Where a login is saved on this machine. Not an absolute path if the user has no home folder."""
    above = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(above) / "colab_rl" / "drive.json"


def credentials() -> Credentials:
    """The login to Drive: the saved one, else what `google.auth.default()` finds.

    That is a service account's key named by GOOGLE_APPLICATION_CREDENTIALS, or Colab's user
    after `auth.authenticate_user()`. Raises StorageRefused if there is none.
    """
    server = endpoint()
    if server:  # it asks for no login; the tokens that it hands out are refreshed like any other's
        return google.oauth2.credentials.Credentials(
            None, refresh_token="none", client_id="none", client_secret="none",
            token_uri=server.rstrip("/") + "/token", scopes=SCOPES)
    path = saved_login()
    try:
        if path.exists():
            return google.oauth2.credentials.Credentials.from_authorized_user_info(json.loads(path.read_text()), SCOPES)
    except NO_LOGIN as error:
        raise StorageRefused(f"the login saved in {path} cannot be read; {HOW}") from error
    try:
        return google.auth.default(scopes=SCOPES)[0]
    except GoogleAuthError as error:
        raise StorageRefused(f"nobody is logged in to Drive here; {HOW}") from error
    except NO_LOGIN as error:
        raise StorageRefused(f"the key that GOOGLE_APPLICATION_CREDENTIALS names cannot be read; {HOW}") from error


def may_have_login() -> bool:
    """Whether there is a sign of a login, looked for without a network."""
    return bool(endpoint() or os.path.exists(saved_login()) or os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
                or os.environ.get("COLAB_RELEASE_TAG"))


def save_login(client_secrets: str | os.PathLike) -> Path:
    """Asks for consent in a browser, and saves the login for this user alone; returns where.

    client_secrets: the OAuth client's JSON file, of the kind "desktop app". Raises UsageError, StorageRefused.
    """
    from oauth2client.client import FlowExchangeError
    from oauth2client.clientsecrets import InvalidClientSecretsError
    from pydrive2.auth import AuthError, GoogleAuth
    from pydrive2.settings import InvalidConfigError

    path = Path(client_secrets)
    if not path.is_file():
        raise UsageError(f"there is no file {path}; docs/guides/drive.md tells how to get one")
    auth = GoogleAuth(settings_file=None, settings={
        "client_config_backend": "file", "client_config_file": str(path), "oauth_scope": list(SCOPES),
        "save_credentials": False, "get_refresh_token": True})
    try:
        auth.LocalWebserverAuth()
    except (InvalidConfigError, InvalidClientSecretsError, ValueError) as error:
        raise UsageError(f"{path} is not an OAuth client of the kind desktop app; docs/guides/drive.md tells how to "
                         "get one") from error
    except (AuthError, FlowExchangeError, OSError) as error:
        raise StorageRefused("nobody logged in; nothing was saved") from error
    found = auth.credentials
    return write_login({"type": "authorized_user", "client_id": found.client_id, "client_secret": found.client_secret,
                        "refresh_token": found.refresh_token, "token_uri": found.token_uri})


def write_login(content: dict[str, str]) -> Path:
    """Writes a login that only its owner may read, from its first byte on; returns where. Raises StorageRefused."""
    path = saved_login()
    if not path.is_absolute():
        raise StorageRefused("there is no home folder to save a login in; nothing was saved; set HOME")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    os.replace(temporary, path)
    return path
