"""Searches that check the optimum, and what the criterion looks like around it."""
