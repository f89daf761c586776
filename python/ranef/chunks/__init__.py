"""Rows that come in pieces: sources, levels, reading, cross products."""
