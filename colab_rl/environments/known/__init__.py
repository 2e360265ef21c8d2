"""The environments that we know: for each, or each family, one file with its channels, its drawing, what views show of
it, and what it needs to repeat an episode. An environment is entered by its line in registry.py.
"""
