"""python -m reference write|check: makes the pages, or leaves with 1 where they are not current."""

import sys

from reference.pages import outdated, write

if sys.argv[1:] == ["write"]:
    write()
else:
    sys.exit(1 if outdated() else 0)
