"""Posteriors of fitted models."""
