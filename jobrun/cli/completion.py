"""`completion`."""

from __future__ import annotations

import importlib

from jobrun.cli.command import Command
from jobrun.cli.options import Parsed
from jobrun.cli.output import put
from jobrun.cli.words import one_word
from jobrun.config.environment import Environment

SHELLS = ("bash", "zsh", "fish")


def completion(parsed: Parsed, environment: Environment) -> int:
    """Prints a shell's script."""
    shell = one_word(parsed, "shell of " + " ".join(SHELLS))
    if shell not in SHELLS:
        raise parsed.usage_error(f"{shell} is none of {' '.join(SHELLS)}")
    put(script(shell))
    return 0


def script(shell: str) -> str:
    """The script for one of SHELLS, made of the commands' tables."""
    made: str = importlib.import_module(f"jobrun.cli.shells.{shell}").script()
    return made


COMMANDS = (
    Command(
        name="completion",
        summary="print the script by which a shell completes commands, options and job ids",
        words="|".join(SHELLS),
        choices=SHELLS,
        description="bash: put it into ~/.local/share/bash-completion/completions/jobrun, or source it in ~/.bashrc:\n"
        "source <(jobrun completion bash)\n\n"
        'zsh: put it into a file "_jobrun" in a folder of $fpath, or source it after compinit.\n\n'
        "fish: put it into ~/.config/fish/completions/jobrun.fish\n\n"
        "Print it anew after an update. Ids and names come from the server that the command goes to, within 2 s; no\n"
        "server is started for them.",
        options=(),
        run=completion,
        example="source <(jobrun completion bash)",
    ),
)
