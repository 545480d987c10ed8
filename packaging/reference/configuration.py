"""configuration.md: files, variables and folders."""

from __future__ import annotations

from jobrun.config.environment import VARIABLES
from jobrun.config.server_keys import KEYS
from reference.markdown import block, code, page, paragraph, section, table

EXAMPLE = """\
[server]
listen = 0.0.0.0:50443
slots = 16

[login]
session_idle = 7d"""
KEY_HEAD = ("section", "key", "meaning", "default")
FILE = """\
`jobrun server --config FILE` reads an INI file in UTF-8. What it does not know it refuses. Durations and numbers are
those of options.
"""
STAND_INS = "jobrun-cache-UID in TMPDIR (else /tmp), /var/tmp or /dev/shm"
FOLDERS = (
    ("logins and known servers", "JOBRUN_CONFIG_DIR, else jobrun in XDG_CONFIG_HOME, else ~/.config/jobrun"),
    (
        "a server's data",
        "--data, else JOBRUN_DATA_DIR; for root /var/lib/jobrun; else jobrun/server in the state home",
    ),
    ("the private server's data", "jobrun/private in the state home; /var/tmp/jobrun-UID where that is no local disk"),
    (
        "the private server's socket",
        "in jobrun in XDG_RUNTIME_DIR, else in /tmp/jobrun-UID; named after the data folder",
    ),
    (
        "what the file unpacks",
        "JOBRUN_CACHE, else jobrun in XDG_CACHE_HOME, else ~/.cache/jobrun; while no such can be used, " + STAND_INS,
    ),
)
STATE_HOME = """\
The state home is XDG_STATE_HOME, else ~/.local/state. All folders are made with mode 0700, and refused if they are
another's.
"""
VARIABLE = """\
What else begins with GRPC_ is not obeyed, nor are proxy variables. A variable that names a server and is set but empty
is an error, not a missing one. Output is plain text everywhere, so NO_COLOR changes nothing.
"""


def configuration_page() -> str:
    """The page."""
    keys = [
        (code(f"[{part}]"), code(f"{name} = {key.value}"), key.help, key.usual)
        for part, named in KEYS.items()
        for name, key in named.items()
    ]
    return page(
        "Configuration",
        paragraph("A client has no file of settings: options and variables are all. A server may have one."),
        section("Variables", table(("variable", "meaning"), _variables()), paragraph(VARIABLE)),
        section("A server's file", paragraph(FILE), block(EXAMPLE), table(KEY_HEAD, keys)),
        section("Folders", table(("what", "where"), FOLDERS), paragraph(STATE_HOME)),
    )


def _variables() -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in VARIABLES.items()]
