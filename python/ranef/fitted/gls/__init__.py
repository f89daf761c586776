"""Linear models with structured residuals."""
