"""End-to-end tests: the built file only, as its users meet it."""
