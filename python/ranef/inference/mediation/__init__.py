"""Indirect and direct effects from coefficients, and their Monte Carlo distribution."""
