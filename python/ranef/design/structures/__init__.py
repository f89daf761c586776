"""Covariance structures of random-effects terms: what they are, and their columns."""
