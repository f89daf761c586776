"""Linear models with structured residuals: layout, start, checks, estimate."""
