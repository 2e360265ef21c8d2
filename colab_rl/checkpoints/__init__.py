"""Checkpoints: a training state on disk that can be trusted, here and in the store."""

from colab_rl.checkpoints.manifest import Damaged, FileRecord, Manifest
from colab_rl.checkpoints.replication import Replicator
from colab_rl.checkpoints.tier import Tier

__all__ = ["Damaged", "FileRecord", "Manifest", "Replicator", "Tier"]
