"""Residuals on one scale, whatever the distribution, and tests of them against simulated fits."""
