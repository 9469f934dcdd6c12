"""Variance-preserving diffusion in continuous time: noise schedules, what a network predicts, and samplers."""
