"""Families of shares."""
