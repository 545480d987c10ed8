"""Which jobrun this is. The build writes its own two values into the file that it packs."""

from __future__ import annotations

VERSION = "0.1.0.dev0"
"""As PEP 440 has it; with `.dev` in it this is no release."""

BUILD = ""
"""What the packed file is known by, 32 hex digits of a hash over all that is in it; empty when run from the sources."""
