"""Generalised linear mixed models."""
