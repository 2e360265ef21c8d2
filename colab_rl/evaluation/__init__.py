"""Evaluation: deterministic episodes, their score and their telemetry."""
