"""Policies, out of the runs that trained them."""
