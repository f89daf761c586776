"""Marginal means, and the adapter for marginaleffects."""
