"""A pipeline as plain data: its spec, its schema, its code, and the configuration of its runs."""
