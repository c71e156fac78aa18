"""The thread that owns the serving model, and what is asked of it."""
