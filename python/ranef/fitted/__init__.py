"""Fitted models: what users hold."""
