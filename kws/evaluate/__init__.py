"""Replaying recordings through the shipped Stream, and counting what it hears."""
