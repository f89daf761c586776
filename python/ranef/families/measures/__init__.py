"""Families of measurements."""
