"""Rows that arrive in pieces: sources, levels, reading, cross products."""
