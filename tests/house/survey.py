# SPDX-License-Identifier: Apache-2.0
"""What the house tests look at: the files of the checkout and the shapes inside them."""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "drystone"
DOCS = ROOT / "docs"

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file: where it is, its text, and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        """The path from the top of the checkout, as the tests show it."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def lines_count(self) -> int:
        """Lines of the file, blank ones and comments too: what a reader scrolls past."""
        return self.text.count("\n")


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that is in the checkout or is about to be: tracked, or new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    names = listing.stdout.split("\0") if listing.returncode == 0 else _list_without_git()
    paths = (ROOT / name for name in sorted(set(names)) if name)
    return tuple(path for path in paths if path.is_file() and not path.is_symlink())


@cache
def text_files() -> tuple[Path, ...]:
    """The tracked files that are text."""
    return tuple(path for path in tracked_files() if b"\0" not in path.read_bytes()[:8_192])


@cache
def modules(folder: Path = SOURCE) -> tuple[Module, ...]:
    """Every Python file below ``folder``, parsed."""
    return tuple(
        parse_module(path, path.read_text(encoding="utf-8"))
        for path in tracked_files()
        if path.suffix == ".py" and path.is_relative_to(folder)
    )


def parse_module(path: Path, text: str) -> Module:
    """Parses the text of one file."""
    return Module(path, text, ast.parse(text, filename=str(path)))


def documents(folder: Path = ROOT) -> tuple[Path, ...]:
    """Every Markdown page below ``folder``."""
    return tuple(p for p in tracked_files() if p.suffix == ".md" and p.is_relative_to(folder))


def label(path: Path) -> str:
    """The path from the top of the checkout, for test ids and messages."""
    return path.relative_to(ROOT).as_posix()


def iter_functions(module: Module) -> Iterator[tuple[str, FunctionNode, ast.ClassDef | None]]:
    """Yields every function with its dotted name and the class it is a method of, if any."""
    yield from _iter_functions_below(module.tree, "", None)


def iter_classes(module: Module) -> Iterator[ast.ClassDef]:
    """Yields every class, nested ones too."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def split_words(identifier: str) -> list[str]:
    """Splits ``snake_case``, ``CamelCase`` and ``HTTPFace`` into lower-case words."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", identifier)
    return [part.lower() for part in parts]


def code_lines_count(node: FunctionNode | ast.ClassDef) -> int:
    """Lines of a definition from its ``def`` or ``class``, without its docstring."""
    assert node.end_lineno is not None
    length = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node, clean=False) is not None:
        docstring = node.body[0]
        assert docstring.end_lineno is not None
        length -= docstring.end_lineno - docstring.lineno + 1
    return length


def _iter_functions_below(
    node: ast.AST, prefix: str, owner: ast.ClassDef | None
) -> Iterator[tuple[str, FunctionNode, ast.ClassDef | None]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FunctionNode):
            yield prefix + child.name, child, owner
            yield from _iter_functions_below(child, f"{prefix}{child.name}.", None)
        elif isinstance(child, ast.ClassDef):
            yield from _iter_functions_below(child, f"{prefix}{child.name}.", child)
        else:
            yield from _iter_functions_below(child, prefix, owner)


def _list_without_git() -> list[str]:
    # An unpacked archive has no repository. What tools leave behind lies in dotted folders.
    top_level = [*ROOT.glob("*.*"), ROOT / "Makefile", ROOT / "LICENSE"]
    below = [
        p for name in (".ci", "docs", "src", "tests", "tools") for p in (ROOT / name).rglob("*")
    ]
    kept = (path for path in [*top_level, *below] if "__pycache__" not in path.parts)
    return [path.relative_to(ROOT).as_posix() for path in kept]
