"""Truth-level events: what the collision made, before any detector."""
