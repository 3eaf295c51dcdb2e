"""One corpus a file, each with a declaration `CORPUS` that the registry reads."""
