"""Comparison of nested models by likelihood ratios."""
