"""Why a keyword fired or did not: what the model heard, in words and as a picture."""
