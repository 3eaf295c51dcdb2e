"""Synthetic speech: voices, what they say, and the clips made of it."""
