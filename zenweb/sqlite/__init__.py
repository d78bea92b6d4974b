"""SQLite, whose writers within one process queue for it."""
