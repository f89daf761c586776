"""Missing values: what is lost, imputations, and results pooled over them."""

from ..words.answers import called_elsewhere

called_elsewhere(__name__)
