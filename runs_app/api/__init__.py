"""REST for what was run."""
