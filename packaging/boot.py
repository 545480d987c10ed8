# In the cache, started by: python -I -S boot.py FILE ARGUMENT...   Each start pays for every line and import here.
import os
import sys

import _signal  # the builtin one: `signal` imports enum

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends a start quietly; whoever wants more sets it later

file = os.path.abspath(sys.argv.pop(1))
tree = "%s/cp%d%d-%s" % (os.path.dirname(__file__), *sys.version_info[:2], os.uname().machine)
if not os.path.isfile(file):  # `sh -s` that was fed the file: nothing could start jobrun a second time
    sys.stderr.write("jobrun: cannot find my own file '%s': start me by my path, not through a pipe\n" % file)
    sys.exit(125)
if not os.path.isdir(tree):  # another Python, or another machine on a shared home: __main__.py unpacks for it
    os.execv(sys.executable, [sys.executable, "-I", "-S", file, *sys.argv[1:]])
sys.path.append(tree)
sys.argv[0] = file
from jobrun.cli.main import main

sys.exit(main(sys.argv))
