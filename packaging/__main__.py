"""What Python starts of the file: Ctrl-C is seen to before the rest, which takes a while to read, in which it would be
a traceback. Must parse on every Python from 2.7 on.
"""

try:
    import _signal as signal  # the builtin one: `signal` imports enum
except ImportError:
    import signal  # Python 2

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it ends a first start as SIGTERM does; the next one clears up

import start

start.main()
