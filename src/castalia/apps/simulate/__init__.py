"""Truth to detector: learn a response, sample it, judge it."""
