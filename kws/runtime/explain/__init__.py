"""Explanations of why a keyword fired or did not, in words and as a picture."""
