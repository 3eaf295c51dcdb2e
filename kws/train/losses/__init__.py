"""What a step of training minimises: one loss per module, and their weighted sum."""
