"""Application ``classify``: which process made an event, from typed objects, their decays and unlabelled data."""
