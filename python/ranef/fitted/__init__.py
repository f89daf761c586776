"""Fitted models, as their users have them."""
