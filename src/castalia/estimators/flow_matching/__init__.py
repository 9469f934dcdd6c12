"""Conditional flow matching: a velocity field learned by regression, and the flow of its differential equation."""
