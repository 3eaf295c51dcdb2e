"""Synthetic speech: voices, scripts, and the clips made of them."""
