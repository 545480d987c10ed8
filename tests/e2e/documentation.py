"""The pages of the documentation: their fenced blocks, links and headings, and a terminal that runs them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.client import BUILT
from tests.e2e.deadline import Deadline
from tests.e2e.home import Home
from tests.e2e.processes import descendants, opened

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
"""What the person at the terminal types for a new password, and for one that is not the server's first."""
END = b"\x1e"
"""Around the code that the shell tells behind each command."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""jq has it at a terminal."""
SHELL = r"""
again() { return $1; }
code=0
while IFS= read -r -d '' words <&3; do
    again $code; eval "$words"; code=$?
    printf '\036%d\036' $code
done
"""
"""One session: variables, the folder and $? go on from command to command."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block: `kind` is its info string, such as `console` or `sh elsewhere`."""

    page: Path
    line: int
    kind: str
    text: str

    def steps(self) -> Iterator[tuple[str, list[str]]]:
        """The commands of a `console` block, each with the lines that it shows."""
        command, shown = "", list[str]()
        for line in self.text.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, shown
                command, shown = line[2:], []
            elif line.startswith("> ") and not shown:
                command += "\n" + line[2:]
            else:
                shown.append(line)
        yield command, shown


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    found = []
    text = page.read_text()
    for match in re.finditer(r"^```(\S[^\n]*)?\n(.*?)^```$", text, re.M | re.S):
        found.append(Block(page, text[: match.start()].count("\n") + 1, match[1] or "", match[2]))
    assert text.count("\n```") + text.startswith("```") == 2 * len(found), f"{page}: a fence is not closed"
    return found


def without_blocks(page: Path) -> str:
    """What people read between them."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """The headings as links name them."""
    titles = re.findall(r"^#+ (.+)$", without_blocks(page), re.M)
    plain = (re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def fits(shown: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether lines are those of a page, where `…` stands for what differs, and alone on a line for any lines. Columns
    are as wide as the names in them: two blanks are as good as more."""
    if not wanted:
        return not shown
    if wanted[0] == "…":
        return any(fits(shown[count:], wanted[1:]) for count in range(len(shown) + 1))
    if not shown:
        return False
    line, page = (re.sub("  +", "  ", text) for text in (shown[0], wanted[0]))
    pattern = ".*".join(map(re.escape, page.split("…")))
    return re.fullmatch(pattern, line) is not None and fits(shown[1:], wanted[1:])


class Reader:
    """Somebody who follows a page: a terminal, and a server of his own where the page starts one."""

    def __init__(self, home: Home) -> None:
        self.home = home
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            del home.env[name]
        self.folder = Path(home.env["HOME"])
        binaries = self.folder / ".local/bin"
        binaries.mkdir(parents=True)
        shutil.copy(BUILT, binaries / "jobrun")
        (self.folder / "dist").symlink_to(BUILT.parent)
        home.env["PATH"] = f"{binaries}:{home.env['PATH']}"
        home.env["JOBRUN_DATA_DIR"] = str(self.folder / ".local/state/jobrun/server")  # root has another one
        home.env["TERM"] = "dumb"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None
        self._ours, theirs = os.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # lines end as they are written
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        commands, self._commands = os.pipe()
        words = ["setsid", "--ctty", "bash", "-c", f"exec 3<&{commands}\n{SHELL}"]
        self._shell = subprocess.Popen(
            words, env=home.env, cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs, pass_fds=[commands]
        )
        os.close(theirs)
        os.close(commands)

    def follow(self, block: Block) -> None:
        """Does what a block says, and compares what comes of it. AssertionError with both."""
        if block.kind == "sh":
            shown, code = self._run(self.here(block.text))
            assert code == 0, f"{block.page.name}:{block.line}: {code}: {shown}"
            return
        failed = ""
        for command, wanted in block.steps():
            assert not failed or "$?" in command, f"{failed}: the page does not show that it fails"
            words = self.here(command)
            shown, code = self._serve(words) if block.kind == "console server" else self._run(words)
            told = f"{block.page.name}:{block.line}: $ {command}"
            lines = shown.splitlines()
            assert fits(lines, [self.here(line) for line in wanted]), f"{told}\n{shown}\n--- and not\n" + "\n".join(
                wanted
            )
            failed = f"{told}: {code}" if code else ""
        assert not failed, failed

    def here(self, text: str) -> str:
        """The server `box` and its port, the folders of a page, in this test."""
        text = re.sub(r"\bbox(:50443)?\b", f"127.0.0.1:{self._port}", text)
        text = text.replace("0.0.0.0:", "127.0.0.1:").replace("50443", str(self._port))
        return text.replace("/home/ann", str(self.folder))

    def close(self) -> None:
        """Ends the shell, the server and its jobs; the home ends the rest."""
        os.close(self._commands)
        self._shell.kill()
        self._shell.wait()
        os.close(self._ours)
        for process in opened(descendants(self._server.pid) if self._server else []):
            with contextlib.closing(process):
                process.kill()
        self._end_server()
        if self.home.server_pids():  # the private one; the home would ask the server of the login
            self.home.jobrun("stop", "--all", "--local", "--grace", "0s")

    def _run(self, command: str) -> tuple[str, int]:
        """What the terminal shows, and the command's code."""
        os.write(self._commands, command.encode() + b"\0")
        deadline, seen = Deadline(30, f"the end of {command}"), b""
        while seen.count(END) < 2:
            seen += self._read(deadline, command, seen)
            self._answer(seen)
        shown, code, rest = seen.split(END)
        assert not rest, f"{rest!r} came after the end of {command}"
        return COLOUR.sub("", shown.decode()), int(code)

    def _read(self, deadline: Deadline, command: str, seen: bytes) -> bytes:
        ready, _, _ = select.select([self._ours], [], [], deadline.left())
        data = os.read(self._ours, 65536) if ready else b""
        assert data or not ready, f"the terminal is gone in {command}: {seen!r}"
        return data

    def _answer(self, seen: bytes) -> None:
        question = seen.rpartition(b"\n")[2]
        if question.endswith(b"yes or no: "):
            os.write(self._ours, b"yes\n")
        elif question.endswith(b": ") and (b"password" in question or b"again" in question):
            first = self.folder / ".local/state/jobrun/server/admin-password"
            admins = question.startswith((b"password of admin", b"current"))
            os.write(self._ours, first.read_bytes() if admins and first.exists() else PASSWORD.encode() + b"\n")

    def _serve(self, command: str) -> tuple[str, int]:
        """Starts a server in another terminal, in the place of the one before: what it says until it is ready."""
        self._end_server()
        self._server = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            env=self.home.env,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._server.stdout is not None
        deadline, seen = Deadline(30, "the server's ready line"), b""
        while not re.search(rb"^ready .*\n", seen, re.M):
            ready, _, _ = select.select([self._server.stdout], [], [], deadline.left())
            data = os.read(self._server.stdout.fileno(), 65536) if ready else b""
            assert data or not ready, f"the server ended: {seen.decode()}"
            seen += data
        return seen.decode(), 0

    def _end_server(self) -> None:
        """Ctrl-C: its jobs go on."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait()
            assert self._server.stdout is not None
            self._server.stdout.close()
            self._server = None
