"""Effects of a treatment through a mediator, from two fitted models."""
