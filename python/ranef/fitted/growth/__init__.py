"""Latent growth curves."""
