"""Checkpoints, adapters, templates and token ids, generation."""
