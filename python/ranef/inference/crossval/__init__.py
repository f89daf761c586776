"""Validation on left-out groups and rows."""
