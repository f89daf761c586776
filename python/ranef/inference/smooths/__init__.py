"""What follows from smooth terms of a fit: curves, standard errors, degrees of freedom, tests."""
