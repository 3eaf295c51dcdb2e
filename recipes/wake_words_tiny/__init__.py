"""A first pass for the six wake words, in 57,000 parameters."""
