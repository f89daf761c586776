"""Shares of variance: R-squared and intraclass correlation."""
