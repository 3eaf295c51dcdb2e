"""Six real wake words beside ordinary read speech."""
