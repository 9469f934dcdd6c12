"""Classifiers of events that are lists of typed objects, and what they learn before and beside their classes."""
