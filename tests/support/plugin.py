"""Fixtures that every test may use; loaded as a pytest plugin so that no conftest has to repeat them."""
