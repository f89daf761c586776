"""Estimators: from a frozen design to a frozen estimate of arrays."""
