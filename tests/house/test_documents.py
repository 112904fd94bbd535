# SPDX-License-Identifier: Apache-2.0
"""Documents: what a user, an operator or a script can meet is written down."""

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.house.survey import (
    DOCS,
    SOURCE,
    Module,
    iter_classes,
    label,
    modules,
    parse_module,
    tracked_files,
)

REFERENCE = DOCS / "reference"
DECISIONS = DOCS / "decisions"
CLI_MODULE = "drystone.cli.app"

UNITS = {"KIB", "MIB", "GIB", "TIB"}


# --- errors ---------------------------------------------------------------------------------------


def error_codes(module: Module) -> Iterator[tuple[str, str]]:
    """Yields each error code a module makes, with the name that carries it.

    A code is the class attribute ``code`` of an error, or a constant of a class whose name ends
    in ``Code`` (``RefusalCode``: the same refusals as values).
    """
    for node in iter_classes(module):
        for statement in node.body:
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(code)))
                    | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(code)))
                ) if code and (name == "code" or (node.name.endswith("Code") and name.isupper())):
                    yield code, f"{module.name}::{node.name}.{name}"
                case _:
                    pass


CODES = [found for module in modules() for found in error_codes(module)]


@pytest.mark.parametrize("code", sorted({code for code, _ in CODES}))
def test_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in read_page(REFERENCE / "errors.md")
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", code), "kebab-case, so that it is stable"


def test_error_codes_are_unique() -> None:
    # An exception may carry the code of a refusal that is also a value; no two exceptions may
    # share one, nor two values.
    for is_value in (False, True):
        kind = [(code, owner) for code, owner in CODES if owner.endswith(".code") != is_value]
        counts = Counter(code for code, _ in kind)
        assert not [(code, owner) for code, owner in kind if counts[code] > 1]


def test_documented_error_codes_exist() -> None:
    page = REFERENCE / "errors.md"
    listed = re.findall(r"^\| `([a-z0-9-]+)`", read_page(page), re.MULTILINE)
    assert not set(listed) - {code for code, _ in CODES}, f"{label(page)} tells of no such code"


# --- commands -------------------------------------------------------------------------------------


def cli_commands() -> list[tuple[str, tuple[str, ...]]]:
    """Returns each command as it is typed, with its long options; none before there is a CLI."""
    if not (SOURCE / "cli" / "app.py").exists():
        return []
    app = importlib.import_module(CLI_MODULE)
    roots = [value for value in vars(app).values() if isinstance(value, typer.Typer)]
    assert roots, f"{CLI_MODULE} holds its typer.Typer, so that its commands can be listed"
    return list(iter_commands("drystone", typer.main.get_command(roots[0])))


def iter_commands(typed: str, command: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields ``command`` and all below it that are not hidden.

    ``command`` is whatever command class Typer builds on (it carries its own copy of click).
    """
    if command.hidden:
        return
    options = [p for p in command.params if not getattr(p, "hidden", False)]
    spelled = (name for option in options for name in option.opts if name.startswith("--"))
    # In an order, so that each worker of a parallel run names the same cases.
    yield typed, tuple(sorted(spelled))
    for name, below in getattr(command, "commands", {}).items():
        yield from iter_commands(f"{typed} {name}", below)


@pytest.mark.parametrize(("typed", "options"), cli_commands(), ids=str)
def test_cli_command_is_documented(typed: str, options: tuple[str, ...]) -> None:
    page = read_page(REFERENCE / "cli.md")
    assert re.search(rf"{re.escape(typed)}(?![\w-])", page)
    for option in set(options) - {"--help", "--install-completion", "--show-completion"}:
        assert re.search(rf"{option}(?![\w-])", page), option


# --- settings, metrics, limits --------------------------------------------------------------------


def setting_names(module: Module) -> Iterator[str]:
    """Yields the fields of each class named ``...Settings``."""
    for node in iter_classes(module):
        if node.name.endswith("Settings"):
            for statement in node.body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name)) if not name.startswith("_"):
                        yield name
                    case _:
                        pass


def constants_like(pattern: str, folder: Path) -> set[str]:
    """Returns each string constant below ``folder`` that matches all of ``pattern``."""
    return {
        node.value
        for module in modules(folder)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and re.fullmatch(pattern, node.value)
    }  # fmt: skip


SETTINGS = sorted({n for m in modules() if m.path.name == "settings.py" for n in setting_names(m)})
VARIABLES = sorted(constants_like(r"DRYSTONE_[A-Z0-9_]*[A-Z0-9]", SOURCE))
METRICS = sorted(constants_like(r"drystone_[a-z0-9_]*[a-z0-9]", SOURCE / "server"))


@pytest.mark.parametrize("name", SETTINGS)
def test_setting_is_documented(name: str) -> None:
    assert re.search(rf"`(?:[^`\n]*\W)?{name}(?:\W[^`\n]*)?`", read_page(REFERENCE / "settings.md"))


@pytest.mark.parametrize("name", VARIABLES)
def test_environment_variable_is_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", read_page(REFERENCE / "settings.md"))


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_documented(name: str) -> None:
    assert f"`{name}`" in read_page(REFERENCE / "metrics.md")


def limits() -> dict[str, int | float]:
    """Returns the bounds of ``core/limits.py`` by name."""
    if not (SOURCE / "core" / "limits.py").exists():
        return {}
    found = vars(importlib.import_module("drystone.core.limits"))
    return {k: v for k, v in found.items() if k.isupper() and k not in UNITS and type(v) is int}


@pytest.mark.parametrize(("name", "bound"), sorted(limits().items()), ids=str)
def test_limit_is_documented_with_its_value(name: str, bound: int) -> None:
    page = read_page(REFERENCE / "limits.md")
    row = next((line for line in page.splitlines() if f"`{name}`" in line), None)
    assert row is not None
    assert re.search(rf"(?<![\d,]){bound:,}(?![\d,])", row), f"write the value as {bound:,}"


# --- decisions, SQL -------------------------------------------------------------------------------

DECISION_PAGES = [p for p in tracked_files() if p.parent == DECISIONS and p.name != "README.md"]
MIGRATIONS = sorted({p.parent for p in tracked_files() if p.parent.name == "migrations"})


@pytest.mark.parametrize("page", DECISION_PAGES, ids=label)
def test_decision_is_numbered_and_linked(page: Path) -> None:
    assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)
    assert f"({page.name})" in read_page(DECISIONS / "README.md")


def test_decision_numbers_are_unique() -> None:
    numbers = Counter(page.name[:4] for page in DECISION_PAGES)
    assert not [number for number, count in numbers.items() if count > 1]


@pytest.mark.parametrize("folder", MIGRATIONS, ids=label)
def test_migrations_are_numbered_without_gaps(folder: Path) -> None:
    names = sorted(path.name for path in tracked_files() if path.parent == folder)
    numbers = [int(m[1]) for name in names if (m := re.match(r"(\d+)-[a-z0-9-]+\.sql$", name))]
    assert numbers == list(range(1, len(names) + 1)), names


# --- the rules themselves -------------------------------------------------------------------------


def test_these_rules_find_what_they_look_for() -> None:
    planted = parse_module(
        SOURCE / "planted.py",
        "class Gone(Refused):\n    code = 'gone'\n"
        "class WhyCode:\n    TOO_BIG: Final = 'too-big'\n"
        "class ServerSettings:\n    data_dir: Path\n    _hidden: int = 1\n",
    )

    assert [code for code, _ in error_codes(planted)] == ["gone", "too-big"]
    assert list(setting_names(planted)) == ["data_dir"]


def read_page(path: Path) -> str:
    """Returns the text of a page; empty if nobody has written it yet."""
    return path.read_text(encoding="utf-8") if path.exists() else ""
