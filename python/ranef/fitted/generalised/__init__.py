"""What generalised mixed models of every kind share."""
