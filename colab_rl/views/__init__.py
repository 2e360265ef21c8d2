"""Views of a run: they read it, and never train."""
