"""Recipes by name or file: finding, changing, and telling them apart."""
