"""Sweeps: seeds, grids and searches as sets of ordinary runs."""
