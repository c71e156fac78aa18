"""A run from votes to a version: its process, stages and checks, and the supervisor that starts it."""
