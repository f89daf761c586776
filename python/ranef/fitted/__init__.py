"""Fitted models, as their users have them."""

from ..words.answers import called_elsewhere

called_elsewhere(__name__)
