"""Castalia learns both directions of a collider experiment from events."""

__all__ = ["__version__"]
__version__ = "0.1.0"
