"""Made data, for tests."""
