"""Values that steps produce: where they lie (`store`), how they are written and read (`materializers`)."""
