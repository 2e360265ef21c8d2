"""What the command line and Python offer of a run."""
