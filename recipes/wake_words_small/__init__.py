"""Six wake words in a model of 57,000 parameters, taught by the large one."""
