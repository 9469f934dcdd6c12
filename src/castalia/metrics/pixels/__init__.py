"""Measures of pixel events: what a sensor, a pair of sensors and a whole event look like."""
