"""From log-posteriors to scores, and from scores to events: numpy alone."""
