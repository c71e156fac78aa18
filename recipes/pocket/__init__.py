"""The recipe of the bundled pocket model: facts, text, training stages."""
