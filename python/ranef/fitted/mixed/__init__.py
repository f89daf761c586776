"""What linear and generalised mixed models share."""
