"""Kinematics: numbers in, numbers out, no files and no models."""
