"""The `zenweb` command."""
