"""Predictions and their variances."""
