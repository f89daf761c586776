"""Mixtures of growth curves."""
