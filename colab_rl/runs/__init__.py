"""Runs: their identity, where they are, and copying them to their store."""
