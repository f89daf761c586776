"""Priors of covariances, fixed effects and the residual."""
