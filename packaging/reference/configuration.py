"""configuration.md: files, variables and folders."""

from __future__ import annotations

from jobrun.config.environment import VARIABLES
from jobrun.config.paths import FOLDERS
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
MODES = "All of them are made with mode 0700, and refused if they are another's."
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
        section("Folders", table(("what", "where"), FOLDERS), paragraph(MODES)),
    )


def _variables() -> list[tuple[str, str]]:
    return [(code(name), meaning) for name, meaning in VARIABLES.items()]
