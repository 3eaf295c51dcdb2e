"""A phrase of the user's own: what the recipes `phrase`, `fewshot` and `tiny` share."""
