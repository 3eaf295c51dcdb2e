"""A recipe on made data, for tests."""
