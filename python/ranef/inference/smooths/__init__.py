"""What follows from the smooth terms of a fit: curves, errors, degrees of freedom and tests."""
