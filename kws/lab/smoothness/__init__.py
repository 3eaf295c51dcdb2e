"""How smooth a model is: local Lipschitz constants, bounds, growth with length and depth."""
