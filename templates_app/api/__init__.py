"""REST for what can be run."""
