"""Places for files: a folder, Drive, or your own storage (`register_storage`)."""

from colab_rl.errors import StorageError, StorageRefused
from colab_rl.storage.base import NotFound, Stat, Storage, retry_until
from colab_rl.storage.folder import FolderStorage
from colab_rl.storage.names import check_name
from colab_rl.storage.path import absolute_path
from colab_rl.storage.registry import open_store, register_storage

__all__ = ["FolderStorage", "NotFound", "Stat", "Storage", "StorageError", "StorageRefused", "absolute_path",
           "check_name", "open_store", "register_storage", "retry_until"]
