"""Normalizing flows: chains of invertible blocks."""
