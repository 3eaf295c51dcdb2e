"""Scenes: the seconds of sound that training draws, and what is mixed into them."""
