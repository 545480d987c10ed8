"""Tests of jobrun."""
