"""Tests that kill processes at random and look at what is left."""
