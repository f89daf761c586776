"""Residuals beside those of simulated fits."""
