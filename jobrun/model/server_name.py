"""The name of every server that has none of its own: TLS wants one, though certificate or socket say who it is."""

from __future__ import annotations

SERVER_NAME = "jobrun.internal"
"""What servers write into the certificates that they make, and clients hold these against. `.internal` is nobody's on
the public internet (ICANN, 29 July 2024)."""
