"""What is told of a fault of our own."""

from __future__ import annotations

import logging

import pytest

from jobrun.api import incident
from jobrun.model.errors import StoreError


def test_where_it_happened_is_told_and_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """A password that protobuf, or int(), quotes in its error would be in the server's log."""
    try:
        try:
            int("s3cr3t")
        except ValueError as error:
            raise StoreError("the disk is gone") from error
    except StoreError as error:
        with caplog.at_level(logging.ERROR):
            number = incident.report("/a/B", error)
    assert f"incident {number} in /a/B" in caplog.text
    assert "test_incident.py" in caplog.text
    assert "builtins.ValueError\nwhich led to\n" in caplog.text
    assert caplog.text.rstrip().endswith("jobrun.model.errors.StoreError: the disk is gone")
    assert 's3cr3t"' in caplog.text, "a line of our source is no secret"
    assert "'s3cr3t'" not in caplog.text
