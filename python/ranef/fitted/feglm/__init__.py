"""Generalised linear models with absorbed factors."""
