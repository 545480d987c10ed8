# In the cache, started by: python -I -S boot.py FILE ARGUMENT...   Each start pays for every line and import here.
# Must parse on 3.6: the Python on record may have become another one since.
import _signal  # the builtin one: `signal` imports enum

if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C ends a start quietly; whoever wants more sets it later

import os  # behind that: it takes a while, in which Ctrl-C would be a traceback
import sys
import time

DAY_S = 86400
given = sys.argv.pop(1)
entry = os.path.dirname(__file__)
tree = "%s/cp%d%d-%s" % (entry, *sys.version_info[:2], os.uname().machine)


def refuse(words):
    """Leave with one line."""
    if sys.stderr:  # none, where the caller has closed it
        sys.stderr.write("jobrun: %s\n" % words)
    sys.exit(125)


if not os.path.isfile(given):  # `sh -s` that was fed the file: nothing could start jobrun a second time
    refuse("cannot find my own file '%s': start me by my path, not through a pipe" % given)
sys.argv[0] = os.path.abspath(given)


def look():
    """Raise where others may have been here, or a compiled module was cut: that would end jobrun without a word."""
    status = os.lstat(entry)
    if status.st_mode & 0o022:
        raise OSError("others may write there")
    with open(tree + "/sizes", "rb") as sizes:
        for line in sizes:
            size, path = line.rstrip(b"\n").split(b" ", 1)
            if not path.endswith(b".so"):
                break  # these come first
            if os.stat(os.fsencode(tree) + b"/" + path).st_size != int(size):
                raise OSError("%s was changed" % os.fsdecode(path))
    if status.st_mtime + DAY_S < time.time():
        note_use()


def note_use():
    """So that unpack.py sees what is in use."""
    try:
        os.utime(entry)
    except OSError:
        return  # a read-only file system: nothing is cleared away there either


try:
    look()
    sys.path.append(tree)
    from jobrun.cli.main import main
except Exception as error:  # noqa: BLE001 - also another Python, or another machine on a shared home
    if "checked" in sys._xoptions:  # start.py has found nothing to mend
        refuse("cannot start from my cache '%s' (%s): remove it" % (entry, error))
    with open("/proc/self/environ", "rb") as mine:  # os.environ has LC_CTYPE of Python's own making in the C locale
        env = dict(one.split(b"=", 1) for one in mine.read().split(b"\0") if b"=" in one)
    os.execve(sys.executable, [sys.executable, "-I", "-S", *sys.argv], env)
sys.exit(main(sys.argv))
