"""Missing values: what is lost, imputations, and results pooled over them."""
