"""The unfold application: truth-level distributions from detector-level events."""
