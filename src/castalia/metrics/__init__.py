"""Arrays → numbers with errors: distances, densities, widths, correlations, two-sample tests and the quality gate."""
