"""Counting events: hits, misses, false accepts, their rates and intervals."""
