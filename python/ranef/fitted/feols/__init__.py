"""Least squares with fixed effects."""
