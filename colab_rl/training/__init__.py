"""Training a run: what is asked, the session, the loop."""
