"""Model-based recursive partitioning of a linear mixed model."""
