"""Stored speech of a model: what it made of hours of ordinary speech, for thresholds of new phrases."""
