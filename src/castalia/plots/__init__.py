"""Arrays in, Figure out: the figures of a report, each with its statistical uncertainty drawn."""
