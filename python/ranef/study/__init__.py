"""Simulated studies and power."""
