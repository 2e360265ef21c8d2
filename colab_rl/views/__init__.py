"""What a person looks at: they read a run, and never train."""
