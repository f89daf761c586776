"""What follows from an estimate: tests, intervals, predictions."""
