"""Places where files lie."""

from colab_rl.storage.base import NotFound, Stat, Storage, looked_again
from colab_rl.storage.folder import FolderStorage, expanded
from colab_rl.storage.registry import open_store

__all__ = ["FolderStorage", "NotFound", "Stat", "Storage", "expanded", "looked_again", "open_store"]
