"""README.md and docs/ do what they say, with the built file, in a fresh home; and what they name is there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.cli.command import Command
from jobrun.cli.options import Option, parse_words
from jobrun.cli.registry import MODULES, load
from jobrun.config.server_file import read_server_file
from tests.e2e.accounts import Accounts
from tests.e2e.deadline import patience
from tests.e2e.documentation import ROOT, Reader, anchors, blocks, without_blocks
from tests.e2e.home import Home

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("[eh]*/*.md"))]
"""Those that people wrote; the reference is made by the program."""
RUN = ("console", "sh", "console server")
"""Info strings of blocks that a test runs. The server runs in another terminal, until the next one or the page ends."""
ELSEWHERE = "sh elsewhere"
"""Of blocks that would change the machine, take minutes, or need a program that is not here."""
ELSEWHERE_PROGRAMS = (
    "sudo install ",
    "sudo useradd ",
    "sudo systemctl ",
    "sudo journalctl ",
    "sudo tar ",
    "sudo cat ",
    "sudo -Hu jobrun /usr/local/bin/jobrun ",
    "docker compose ",
    "python3 build.py ",
    "python3 -m ",
    "sudo rm ",
    "sudo userdel ",
    "jobrun server --insecure ",
    "grpcurl ",
    "rm -rf ~/.cache/jobrun ",
)
"""All that may be in them."""
OTHERS_OPTIONS = frozenset({"--"})
"""Those of programs that are not jobrun."""
CALL = re.compile(r"(?<![\w/.-])(?:tools/|dist/|/usr/local/bin/)?jobrun (?![j/])([a-z][^|;&)`#$]*)")
"""A command line, up to what a shell would end it at; not the `jobrun` of `sudo -Hu jobrun`."""
HELP = Option("-h --help", "")


def name(page: Path) -> str:
    """As a test's parameter."""
    return str(page.relative_to(ROOT))


def all_pages() -> list[Path]:
    """All Markdown of the project."""
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.fixture
def reader(home: Home) -> Iterator[Reader]:
    """Somebody new."""
    somebody = Reader(home)
    try:
        yield somebody
    finally:
        somebody.close()


@pytest.mark.parametrize("page", [page for page in PAGES if any(b.kind in RUN for b in blocks(page))], ids=name)
def test_what_a_page_shows_is_what_happens(reader: Reader, page: Path) -> None:
    """Somebody new would be stuck at the first command that is not as it is shown."""
    for block in blocks(page):
        if block.kind in RUN:
            reader.follow(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_is_shown_that_no_test_looks_at(page: Path) -> None:
    """A command could be left out of the tests by a word behind the fence."""
    for block in blocks(page):
        assert block.kind in (*RUN, ELSEWHERE, "ini", "yaml", "python"), f"{name(page)}:{block.line}: {block.kind}"
        if block.kind == ELSEWHERE:
            for line in block.text.splitlines():
                assert line.startswith(ELSEWHERE_PROGRAMS), f"{name(page)}:{block.line}: {line}"


def broken(page: Path) -> Iterator[str]:
    """Links of a page that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_blocks(page)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        if "://" in target:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


def test_every_link_leads_somewhere() -> None:
    """A reader would be sent to a page or heading that is not there."""
    found = {name(page): links for page in all_pages() if (links := list(broken(page)))}
    assert found == {}


def test_the_index_has_every_page() -> None:
    """A page that no other names would be found by nobody."""
    index = (ROOT / "docs/README.md").read_text()
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()


def texts() -> Iterator[str]:
    """All that the program can say, in pieces as its sources have them."""
    yield (ROOT / "packaging/header.sh").read_text()
    for source in (*ROOT.glob("jobrun/**/*.py"), *ROOT.glob("packaging/*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_messages_that_are_explained_are_said() -> None:
    """Who looks for the line that he got would not find it."""
    page = (ROOT / "docs/how-to/troubleshoot.md").read_text()
    first_columns = re.findall(r"^\| (`[^|]*|\d[^|]*) \|", page, re.M)
    told = [text for column in first_columns for text in re.findall(r"`([^`]+)`", column) if " " in text]
    assert len(told) > 20
    said = list(texts())
    pieces = [piece.strip() for line in told for piece in line.split("…") if piece.strip()]
    assert [piece for piece in pieces if not any(piece in text for text in said)] == []


def test_the_python_program_works(accounts: Accounts, tmp_path: Path) -> None:
    """A programmer would begin with something that does not run."""
    (block,) = [block for page in PAGES for block in blocks(page) if block.kind == "python"]
    (tmp_path / "client.py").write_text(block.text)
    protocol = sorted(map(str, (ROOT / "proto").glob("jobrun/v1/*.proto")))
    stubs = ["-I", str(ROOT / "proto"), "--python_out=.", "--grpc_python_out=.", *protocol]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *stubs], cwd=tmp_path, check=True)
    env = {
        "PATH": os.environ["PATH"],
        "JOBRUN_TOKEN": accounts.add().jobrun("token", "create", "ci").passed().out.strip(),
    }
    words = [sys.executable, "client.py"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, timeout=patience(30), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"hello\n", b"")


def commands() -> Iterator[Command]:
    """All that the program has."""
    for word in MODULES:
        command = load(word)
        yield from (command, *command.below)


def called(text: str) -> Iterator[list[str]]:
    """The command lines of jobrun in a text, each up to what a shell would end it at."""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.startswith("docker compose exec jobrun "):
            yield from map(str.split, CALL.findall(line))


def code(page: Path) -> str:
    """Blocks and code spans of a page: what readers type."""
    typed = "\n".join(block.text for block in blocks(page) if block.kind != "ini")
    return typed + "\n" + "\n".join(re.findall(r"`([^`\n]+)`", without_blocks(page)))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md"], ids=name)
def test_every_command_and_option_that_a_page_names_is_there(page: Path) -> None:
    """A reader would type what the program refuses."""
    for words in called(code(page)):
        assert words[0] in MODULES, f"{name(page)}: jobrun {words}"
        command = load(words[0])
        command, rest = command.choose(words[1:])
        parse_words(command.name, (*command.options, HELP), rest, mixed=command.mixed)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_option_that_a_page_names_by_itself_is_there(page: Path) -> None:
    """A reader would look for an option that no command has."""
    known = {typed for command in commands() for option in command.options for typed in option.names}
    spans = re.findall(r"`(--[a-z][a-z-]*)", without_blocks(page))
    assert set(spans) - known - OTHERS_OPTIONS == set()


def test_configs_are_configs(tmp_path: Path) -> None:
    """The server would refuse what its operator copied."""
    configs = [block for page in PAGES for block in blocks(page) if block.kind == "ini"]
    assert configs
    for block in configs:
        file = tmp_path / "server.ini"
        file.write_text(block.text)
        read_server_file(file)


def test_snippets_of_yaml() -> None:
    """A pipeline would not load what was copied. As far as lines tell: each is a key, an item, or deeper text of a
    scalar that goes on."""
    snippets = [block for page in PAGES for block in blocks(page) if block.kind == "yaml"]
    assert snippets
    for block in snippets:
        text_from = -1
        for line in filter(str.strip, block.text.splitlines()):
            indent = len(line) - len(line.lstrip())
            where = f"{name(block.page)}:{block.line}: {line}"
            assert "\t" not in line, where
            assert indent % 2 == 0, where
            if -1 < text_from < indent:
                continue
            text_from = indent if line.endswith("|") else -1
            entry = re.match(r"\s*(- )?([\w-]+):( |$)|\s*- (?!.*: )\S", line)
            goes_on = indent > 4 and not line.lstrip().startswith("- ")
            assert entry or goes_on, where
