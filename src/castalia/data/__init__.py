"""Files to tables to arrays, and back."""
