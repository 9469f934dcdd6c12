"""The scan application: theory parameters from events, by the likelihood of a flow and its gradient."""
