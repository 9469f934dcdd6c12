"""Models of a target given a condition."""
