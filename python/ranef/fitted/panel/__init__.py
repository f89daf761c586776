"""Panels: random-effects least squares, and effects within and between groups."""
