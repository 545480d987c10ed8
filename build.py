"""Build, test and check jobrun: python3 build.py run|test|check|proto|build|portability|bench|lock.

Needs no more than the stdlib.

No function here, so that every Python can read this file and an old one can say so.
"""

import os
import sys

if sys.version_info < (3, 10):
    sys.exit("build: needs Python 3.10 or newer, this is %d.%d (%s)" % (sys.version_info[:2] + (sys.executable,)))

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "packaging"))
from builder.commands import main

sys.exit(main(sys.argv[1:]))
