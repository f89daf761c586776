"""Smooth terms: bases, penalties, and the columns of a mixed model that they are made into."""
