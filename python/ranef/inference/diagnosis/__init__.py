"""Findings about data and fits, each with a fix."""
