"""Levels that are known to be alike, and rows that belong to several levels."""
