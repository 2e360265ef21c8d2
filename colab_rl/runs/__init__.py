"""Runs: their identity, their folders, and copying them to their store."""
