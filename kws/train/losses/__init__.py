"""The losses of a training step: one loss per module, and their weighted sum."""
