"""Profile likelihoods of single parameters."""
