"""Parametric bootstrap."""
