"""A phrase of your own."""
