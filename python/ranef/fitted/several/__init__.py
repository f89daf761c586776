"""Models of several linear predictors: location, zero part, dispersion."""
