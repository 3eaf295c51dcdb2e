"""A teacher of phones."""
