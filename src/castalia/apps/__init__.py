"""The applications, one package each; they never import one another."""
