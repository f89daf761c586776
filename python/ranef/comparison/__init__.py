"""Comparison of fitted models."""
