"""Cumulative link models of ordered responses."""
