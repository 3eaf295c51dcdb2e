"""Training recipes: short typed Python files (installed as kws.recipes)."""
