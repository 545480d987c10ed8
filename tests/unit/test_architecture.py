"""What may import what, read from the sources. The layers are in ARCHITECTURE.md's map; here they are held."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ROOT / "jobrun" / "wire" / "gen"

MAP = re.compile(r"^\| `([a-z]+)(?:/|\.py)` \|.*\| (all but |)([^|]*) \|$", re.M)
NOTHING = "nothing of ours"
# Single files that may do more: the seams between layers.
# The local engine, alone of all that serves, knows how jobs run here; the other two are its parts.
ENGINE = "jobrun.jobs.local_engine"
ENGINE_PARTS = {"jobrun.jobs.job_records", "jobrun.jobs.spawner_process"}
ALSO_ALLOWED: dict[str, set[str]] = {
    **{name: {"runner", "jobfile"} for name in (ENGINE, *ENGINE_PARTS)},
    "jobrun.cli.server": {"daemon", "init"},
    "jobrun.cli.server_owner": {"auth"},  # what the owner of a data folder does to it without a server
}
# VERSION may be told by everybody but those that must stay small.
NO_VERSION = {"limits", "jobfile", "runner"}

# Each job has a process of these: small, and quick to fork. No enum, dataclasses, re, json, signal and such.
SMALL = {"runner", "jobfile", "limits"}
SMALL_STDLIB = {
    *("__future__", "_signal", "_socket", "array", "collections.abc", "ctypes", "errno", "fcntl", "gc", "itertools"),
    *("math", "mmap", "os", "posix", "pwd", "resource", "select", "stat", "struct", "sys", "time", "zlib"),
}

GRPC_HOMES = {"api", "client", "wire"}
GRPC = {"grpc", "grpc_health", "grpc_reflection"}


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module, as `importer` sees it."""

    importer: str
    target: str
    line: int
    typing_only: bool
    deferred: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.target}"


@dataclasses.dataclass(frozen=True)
class Module:
    """A source file of ours."""

    name: str
    tree: ast.Module

    @property
    def part(self) -> str:
        """The package it belongs to, or itself if it lies beside the packages."""
        return part_of(self.name)

    def imports(self) -> list[Import]:
        """All imports in the file, wherever they stand."""
        return list(_walk_imports(self, self.tree, typing_only=False, deferred=False))


def part_of(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def modules() -> dict[str, Module]:
    """All of ours but the generated ones, by dotted name."""
    found = {}
    for path in sorted((ROOT / "jobrun").rglob("*.py")):
        if GENERATED not in path.parents:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found[name] = Module(name, ast.parse(path.read_text(), str(path)))
    return found


def _walk_imports(module: Module, node: ast.AST, *, typing_only: bool, deferred: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            for target in _targets(child):
                yield Import(module.name, target, child.lineno, typing_only, deferred)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for statement in child.body:
                yield from _walk_imports(module, ast.Module([statement], []), typing_only=True, deferred=deferred)
            yield from _walk_imports(module, ast.Module(child.orelse, []), typing_only=typing_only, deferred=deferred)
        else:
            inside = deferred or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _walk_imports(module, child, typing_only=typing_only, deferred=inside)


def _targets(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, f"relative import in line {node.lineno}: say from where"
    assert node.module is not None
    if node.module.split(".")[0] != "jobrun":
        return [node.module]
    # `from package import name` may name a module: the longer form is told apart by whether such a file exists.
    return [_longest_module(f"{node.module}.{alias.name}") for alias in node.names]


def _longest_module(name: str) -> str:
    while not (ROOT / name.replace(".", "/")).with_suffix(".py").is_file():
        if (ROOT / name.replace(".", "/") / "__init__.py").is_file():
            break
        name = name.rpartition(".")[0]
    return name


def layers() -> dict[str, set[str]]:
    """The map: of each package, or module beside the packages, what of ours it may import besides itself."""
    rows = MAP.findall((ROOT / "ARCHITECTURE.md").read_text())
    named = {part: set() if names == NOTHING else set(names.split(", ")) for part, _, names in rows}
    return {part: set(named) - named[part] if but else named[part] for part, but, _ in rows}


def _crossings() -> Iterator[tuple[Module, Import]]:
    """Each import of a part from another one."""
    for module in modules().values():
        for one in module.imports():
            if one.target.split(".")[0] == "jobrun" and part_of(one.target) not in (module.part, ""):
                yield module, one


def _is_seam(importer: Module, part: str) -> bool:
    """Whether it may, whatever the map says of its package."""
    if part == "version":
        return importer.part not in NO_VERSION
    return part in ALSO_ALLOWED.get(importer.name, set())


def test_the_map_has_every_package() -> None:
    """A package nobody decided about would slip past every rule below."""
    assert layers().keys() == {module.part for module in modules().values()} - {""}


def test_layers() -> None:
    """A layer that knows a higher one cannot be read, tested or replaced on its own."""
    allowed = layers()
    wrong = [
        str(one)
        for module, one in _crossings()
        if part_of(one.target) not in allowed[module.part] and not _is_seam(module, part_of(one.target))
    ]
    assert not wrong, "\n".join(wrong)


def test_the_map_allows_no_more_than_is_used() -> None:
    """A reader would take a way for one that is walked, and the next one walk it."""
    used = {(module.part, part_of(one.target)) for module, one in _crossings()}
    allowed = {(part, other) for part, others in layers().items() if part != "daemon" for other in others}
    assert allowed <= used


def test_engine_has_one_door() -> None:
    """Jobs are to run elsewhere too one day: what the service asks of an engine must all be in one place."""
    wrong = [
        str(one)
        for module in modules().values()
        for one in module.imports()
        if one.target in ENGINE_PARTS and module.name not in {ENGINE, *ENGINE_PARTS}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles() -> None:
    """Two modules that need each other are one module, and whether they load depends on who asks first."""
    graph = {
        name: sorted({one.target for one in module.imports() if not one.typing_only and not one.deferred})
        for name, module in modules().items()
    }
    assert _cycle(graph) is None


def _cycle(graph: dict[str, list[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in graph:
            return None
        found = next((cycle for target in graph[name] if (cycle := visit(target, [*path, name]))), None)
        done.add(name)
        return found

    return next((cycle for name in graph if (cycle := visit(name, []))), None)


def test_small_modules_only_in_the_runner() -> None:
    """Each running job has a process of this code: an import of enum or json would cost every job memory and time."""
    wrong = [
        str(one)
        for module in modules().values()
        for one in module.imports()
        if module.part in SMALL and not one.typing_only
        if one.target.split(".")[0] != "jobrun" and one.target not in SMALL_STDLIB
    ]
    assert not wrong, "\n".join(wrong)


def test_grpc_has_three_homes() -> None:
    """The service must be usable, and testable, without a server around it; and grpc takes 60 ms to import."""
    wrong = _imports_outside(GRPC, GRPC_HOMES)
    assert not wrong, "\n".join(wrong)


def test_sqlite_has_one_home() -> None:
    """SQL in two places means that a migration misses one."""
    wrong = _imports_outside({"sqlite3"}, {"store"})
    assert not wrong, "\n".join(wrong)


def test_cryptography_has_few_homes() -> None:
    """Each place that makes or verifies something is one more to review, and 50 ms at the start of who needs none."""
    files = {"bcrypt": "jobrun.auth.passwords", "jwt": "jobrun.auth.access_tokens"}
    wrong = [
        str(one)
        for module in modules().values()
        for one in module.imports()
        if (package := one.target.split(".")[0]) in files and module.name != files[package]
    ]
    wrong += _imports_outside({"cryptography"}, {"auth"})
    assert not wrong, "\n".join(wrong)


def _imports_outside(packages: set[str], homes: set[str]) -> list[str]:
    return [
        str(one)
        for module in modules().values()
        for one in module.imports()
        if one.target.split(".")[0] in packages and module.part not in homes
    ]


def test_environment_is_read_in_config_only() -> None:
    """`doctor` and `server` can say where a value came from only if all of them come through one place."""
    names = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    paths = {"/proc/self/environ", b"/proc/self/environ"}
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if module.part != "config"
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in names)
        or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and node.value in paths)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and {f"os.{a.name}" for a in node.names} & names)
    ]
    assert not wrong, "\n".join(wrong)


def test_output_and_exit_are_in_cli_only() -> None:
    """A library that prints or exits takes the decision from its caller, and breaks `--json`."""
    wrong = [
        f"{module.name}:{node.lineno} {ast.unparse(node.func)}"
        for module in modules().values()
        for node in ast.walk(module.tree)
        if module.part != "cli"
        and isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "sys.exit", "exit")
    ]
    assert not wrong, "\n".join(wrong)


def test_the_map_names_what_is_there() -> None:
    """A newcomer would look for files that were renamed long ago."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|proto))", text))
    assert named
    missing = {name for name in named if not any((ROOT / base / name).exists() for base in ("", "jobrun"))}
    assert not missing


def test_a_start_looks_to_its_signals_first() -> None:
    """Ctrl-C at the start of a command would show Python's traceback; a tool that sorts imports would bring it back."""
    statements = ast.parse((ROOT / "packaging/boot.py").read_text()).body
    at = next(index for index, found in enumerate(statements) if isinstance(found, ast.If))
    assert [ast.unparse(before) for before in statements[:at]] == ["import _signal"]
