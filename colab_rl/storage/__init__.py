"""Places where files lie."""

from colab_rl.storage.base import NotFound, Stat, Storage
from colab_rl.storage.folder import FolderStorage

__all__ = ["FolderStorage", "NotFound", "Stat", "Storage"]
