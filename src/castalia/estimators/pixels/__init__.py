"""Models of hits in arrays of pixel sensors: events of many sensors that know of each other."""
