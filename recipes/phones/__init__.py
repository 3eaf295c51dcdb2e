"""Phones of English, open vocabulary."""
