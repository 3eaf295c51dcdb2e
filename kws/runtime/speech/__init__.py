"""Stored speech: a model's log-posteriors of hours of ordinary speech, by which new
phrases get thresholds.
"""
