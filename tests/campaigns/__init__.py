"""Attempts to break it on purpose, longer than a test may take; `make campaign` runs them."""
