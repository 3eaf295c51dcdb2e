"""A new word from a few recordings."""
