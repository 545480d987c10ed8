"""jobrun's first start: find a fitting Python, have unpack.py unpack for it into the cache, go on from there.

Must parse on every Python from 2.7 on, to say there what is wrong. An import that costs is made where it is needed.
"""

import os
import sys

BUILD = "@BUILD@"
MINORS = [int(minor) for minor in "@MINORS@".split()]
MACHINES = "@MACHINES@".split()
GLIBC = (2, 28)
NAMES = ["python3.%d" % n for n in reversed(MINORS)] + ["python3", "/usr/bin/python3", "/usr/local/bin/python3"]

# Set for a Python that is asked whether it fits, and for the one that was chosen so: no search starts from there.
MARK = "JOBRUN_SEARCHED"


class Problem(Exception):
    """Why this start cannot go on: one line."""


class PythonProblem(Problem):
    """Another Python on this machine may do better."""


def environment():
    """The environment we were started with. Python itself adds LC_CTYPE to os.environ in the C locale: a job's
    environment begins here, so it must not have that."""
    try:
        with open("/proc/self/environ", "rb") as now:
            entries = now.read().split(b"\0")
    except (IOError, OSError):
        return dict(os.environ)
    found = {}
    for name, equals, value in [entry.partition(b"=") for entry in entries]:
        if equals and name != MARK.encode():
            found.setdefault(name, value)  # the first of a name counts, as for getenv
    return found


def become(python, options, arguments, **added):
    env = environment()
    env.update((name.encode(), value.encode()) for name, value in added.items())
    os.execve(python, [python, "-I", "-S"] + options + arguments, env)


def my_python():
    """The interpreter itself, not the pyenv shim or link that it was started by."""
    return os.path.realpath(sys.executable or "/proc/self/exe")


def check_system():
    if not sys.platform.startswith("linux"):
        raise Problem("runs on Linux, this is " + sys.platform)
    machine = os.uname()[4]
    if machine not in MACHINES:
        raise Problem("no build for this CPU (%s): there is one for %s" % (machine, " and ".join(MACHINES)))


def check_python():
    version = "%d.%d" % sys.version_info[:2]
    here = " (%s)" % my_python()
    if sys.version_info[0] != 3 or sys.version_info[1] < MINORS[0]:
        raise PythonProblem("needs CPython 3.%d or newer, this is %s%s" % (MINORS[0], version, here))
    if sys.version_info[1] not in MINORS:
        built = ", ".join("3.%d" % minor for minor in MINORS)
        raise PythonProblem("built for CPython %s, this is %s%s" % (built, version, here))
    if sys.implementation.name != "cpython" or "t" in sys.abiflags or sys.maxsize < 2**32:
        name = sys.implementation.name + " " + version + sys.abiflags
        raise PythonProblem("needs the ordinary 64-bit CPython, this is %s%s" % (name, here))
    check_libc(here)


def check_libc(here):
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        raise PythonProblem("needs a Python for glibc, this one is for another libc such as musl" + here)
    if tuple(int(n) for n in libc.split()[1].split(".")[:2]) < GLIBC:
        raise PythonProblem("needs glibc %d.%d or newer, this is %s" % (GLIBC + (libc,)))


def check_library():
    """Takes 20 ms, so it is only asked before unpacking."""
    try:
        import lzma, sqlite3, ssl, zlib  # noqa: E401, F401, I001
    except ImportError as error:
        lack = "this Python lacks a part of the standard library (%s) (%s)" % (error, my_python())
        raise PythonProblem(lack + ": install the full python3")
    check_shared_libraries()


def check_shared_libraries():
    """grpc's compiled module needs them; a small image may have none."""
    try:
        import ctypes
    except ImportError:
        return  # nothing of ours needs it: they are met when the module is loaded
    for name, package in (("libstdc++.so.6", "libstdc++6"), ("libgcc_s.so.1", "libgcc-s1")):
        try:
            ctypes.CDLL(name)
        except OSError:
            help_ = "install it, on Debian: apt-get install " + package
            raise PythonProblem("needs %s, which is not here: %s" % (name, help_))


def answer_whether_fit():
    """For the search of another start: my path on stdout, or the reason why not."""
    try:
        check_system()
        check_python()
        check_library()
    except Problem as problem:
        sys.stdout.write(str(problem))
        sys.exit(1)
    sys.stdout.write(my_python())
    sys.exit(0)


def candidates():
    """Other Pythons on PATH and at the usual places, each once."""
    seen = {my_python()}
    for name in NAMES:
        for folder in [""] if "/" in name else os.environ.get("PATH", "").split(":"):
            path = os.path.join(folder, name)
            python = os.path.realpath(path)
            if os.path.isabs(path) and python not in seen and os.access(python, os.X_OK):
                seen.add(python)
                yield path  # not what it resolves to: a shim goes by the name that it has


def try_another_python(file):
    """Become the first other Python that fits; come back if there is none."""
    import subprocess

    asking = environment()
    asking[MARK.encode()] = b"ask"
    for python in candidates():
        try:
            ask = subprocess.Popen(
                [python, "-I", "-S", file], env=asking, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError:
            continue  # no program after all
        path = ask.communicate()[0].decode("utf-8", "replace").strip()
        if ask.returncode == 0 and os.path.isabs(path):
            become(path, [file], sys.argv[1:], **{MARK: "chosen"})


def cache_roots():
    """The places for a cache, best first, and of these the stand-ins: where it goes while no better one can be used."""
    named = os.environ.get("JOBRUN_CACHE")
    if named:
        return [named], []
    mine = [root + "/jobrun" for root in (os.environ.get("XDG_CACHE_HOME"), home_cache()) if root]
    shared = [os.environ.get("TMPDIR") or "/tmp", "/var/tmp", "/dev/shm"]
    stand_ins = ["%s/jobrun-cache-%d" % (root, os.geteuid()) for root in shared]
    return mine + stand_ins, stand_ins


def home_cache():
    home = os.environ.get("HOME")
    if home and os.geteuid() == 0 and os.path.isdir(home) and os.stat(home).st_uid != 0:
        return None  # after sudo, the caller's: a folder of root's there would be in his way for ever
    if not home:
        import pwd

        try:
            home = pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            return None
    return home + "/.cache"


def forget_me():
    """The header starts the Python on record: not again me, who am none that fits (any more)."""
    for root in cache_roots()[0]:
        record = os.path.join(root, BUILD, "python")
        try:
            with open(record) as known:
                path = known.readline().rstrip("\n")
            if path == my_python():
                os.unlink(record)
        except (IOError, OSError, ValueError):
            continue  # nothing on record there, or nothing that I could take away


def start_from(root, file, stand_ins):
    """Become jobrun from this cache, filled if need be. OSError says why not."""
    import unpack

    entry = os.path.join(root, BUILD)
    mask = os.umask(0o077)
    try:
        unpack.check_folder(root, make=True)
        unpack.check_folder(entry, make=True)
        if not unpack.is_ready(entry):
            fill(root, file, stand_ins)
    finally:
        os.umask(mask)
    become(my_python(), ["-X", "checked", entry + "/boot.py"], [file] + sys.argv[1:])


def fill(root, file, stand_ins):
    """Unpack into this cache. What was unpacked elsewhere, while it could not be used, goes."""
    import unpack

    unpack.require_space(root)
    check_library()
    unpack.prepare(root, BUILD, file, my_python(), tell)
    if root not in stand_ins:
        unpack.clear_stand_ins(stand_ins, BUILD)


def start_from_best(file):
    """Become jobrun from the best cache that can be used. It is looked for anew each time: a ready one that only stands
    in must not win for good."""
    check_system()
    check_python()
    if not sys.flags.isolated:  # `python3 jobrun`: PYTHONPATH and the like would have a say in what is unpacked
        become(my_python(), [file], sys.argv[1:])
    roots, stand_ins = cache_roots()
    reasons = []
    for root in roots:
        try:
            start_from(root, file, stand_ins)
        except OSError as error:
            reasons.append("%s (%s)" % (error.filename or root, error.strerror or error))
    raise Problem("found no folder for my cache: set JOBRUN_CACHE to one; tried " + ", ".join(reasons))


def start_anyhow(file):
    try:
        start_from_best(file)
    except PythonProblem:
        forget_me()
        if not os.environ.get(MARK):
            try_another_python(file)
        raise


def tell(words):
    if sys.stderr:  # none, where the caller has closed it
        sys.stderr.write("jobrun: %s\n" % words)


def main():
    file = os.path.abspath(sys.argv[0])
    if os.environ.get(MARK) == "ask":
        answer_whether_fit()
    try:
        start_anyhow(file)
    except Problem as problem:
        tell(problem)
    except MemoryError:
        tell("not enough memory for a first start, which takes 100 MB: look at ulimit -v")
    except Exception as error:  # noqa: BLE001 - lzma, zipfile and tarfile errors; naming them means importing them
        tell("'%s' is damaged (%s): copy it again" % (file, error))
    sys.exit(125)
