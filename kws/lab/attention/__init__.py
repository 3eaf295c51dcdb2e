"""What the attention of a model does."""
