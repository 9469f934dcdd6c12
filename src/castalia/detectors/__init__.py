"""What an experiment makes of truth-level events."""
