"""python -m reference write|check: makes the pages, or leaves with 1 where they are not current."""

import sys

from reference.pages import outdated, write

try:
    if sys.argv[1:] == ["write"]:
        write()
    else:
        sys.exit(1 if outdated() else 0)
except KeyError as error:
    sys.exit(f"docs: nothing is said of {error}: give it a row in its table in packaging/reference")
