"""Posterior distributions: priors, coordinates, log densities and samplers."""
