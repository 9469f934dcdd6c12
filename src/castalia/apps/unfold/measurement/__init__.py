"""A measurement: from files of data and simulation to unfolded spectra with their covariance, by any method."""
