"""Runs: their identity, where they lie, and bringing them to their store."""
