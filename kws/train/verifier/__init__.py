"""Training the second pass of a trigger on what its first pass proposes."""
