"""Measures the cost of a model on this machine."""
