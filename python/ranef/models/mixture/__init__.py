"""Mixtures of growth curves: starts, the search and its outcome, as arrays."""
