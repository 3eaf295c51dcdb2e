"""The second pass of the six wake words."""
