"""Detector to truth: posteriors of every event and unbinned distributions of the truth."""
