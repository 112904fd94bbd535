# SPDX-License-Identifier: Apache-2.0
"""Contracts: who may import whom, as written in pyproject.toml."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.house.survey import ROOT, SOURCE, Module, modules

LINTER = Path(sys.executable).with_name("lint-imports")

# What core may use of the world outside: values, arithmetic, and two pure functions of bytes.
CORE_MAY_IMPORT = {
    "abc", "array", "backports", "base64", "binascii", "bisect", "calendar", "collections",
    "compression", "contextlib", "dataclasses", "datetime", "drystone", "enum", "fnmatch",
    "functools", "hashlib", "heapq", "hmac", "itertools", "math", "operator", "pathspec",
    "pyfastcdc", "re", "string", "struct", "types", "typing", "unicodedata",
}  # fmt: skip

# One forbidden import per contract: importer, imported, the contract it must break.
PLANTED = [
    ("client.adapters.planted", "server.ports", "Six rooms"),
    ("server.ports.planted", "server.service", "Server storeys"),
    ("client.ports", "client.loop", "Client storeys"),
    ("core.names.planted", "core.tree", "Core storeys"),
    ("server.faces.http.planted", "server.faces.native", "Faces stand apart"),
    ("server.storage.planted_a", "server.storage.planted_b", "Engines stand apart"),
    ("client.steps.planted_a", "client.steps.planted_b", "Steps stand apart"),
    ("core.names.planted", "os", "Core is pure"),
    ("cli.planted", "server.service", "The command line asks only at the doors"),
    ("server.faces.native.planted", "server.ports.metadata", "Metadata only through the service"),
    ("server.service.planted", "wire", "Two mouths only"),
    ("cli.planted_a.one", "cli.planted_b.two", "No knots"),
    ("cli.planted_b.two", "cli.planted_a.one", "No knots"),
]


def test_import_contracts_hold() -> None:
    outcome = run_linter(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_every_layered_contract_is_exhaustive() -> None:
    layered = [contract for contract in read_contracts() if contract["type"] == "layers"]

    assert layered
    assert not [contract["name"] for contract in layered if not contract.get("exhaustive")]


def test_each_contract_breaks_when_it_should(tmp_path: Path) -> None:
    shutil.copytree(
        SOURCE, tmp_path / "drystone", ignore=shutil.ignore_patterns("__pycache__", "*.sql")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in sorted(named_modules()):
        plant(tmp_path, name, "")
    for importer, imported, _ in PLANTED:
        target = imported if imported == "os" else f"drystone.{imported}"
        plant(tmp_path, f"drystone.{importer}", f"import {target}\n")

    outcome = run_linter(tmp_path)

    named = {contract["name"] for contract in read_contracts()}
    broken = {name for name in named if f"{name} BROKEN" in outcome.stdout}
    assert {name for _, _, name in PLANTED} == named
    assert broken == named, outcome.stdout + outcome.stderr


@pytest.mark.parametrize("module", modules(SOURCE / "core"), ids=lambda module: module.name)
def test_core_imports_from_a_short_list(module: Module) -> None:
    assert not set(outside_imports(module)) - CORE_MAY_IMPORT


def outside_imports(module: Module) -> list[str]:
    """Returns the top name of every module that ``module`` imports."""
    found: list[str] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found += [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "").split(".")[0])
    return found


def read_contracts() -> list[dict[str, Any]]:
    """Returns the contracts of pyproject.toml."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return contracts


def named_modules() -> set[str]:
    """Returns every module that a contract or a planted import names, so that all can exist."""
    found = {f"drystone.{name}" for row in PLANTED for name in row[:2] if name != "os"}
    for contract in read_contracts():
        layers = re.findall(r"\w+", " ".join(contract.get("layers", ())))
        found |= {f"{parent}.{x}" for parent in contract.get("containers", ()) for x in layers}
        for key in (
            "source_modules",
            "forbidden_modules",
            "protected_modules",
            "allowed_importers",
        ):
            found |= {x for x in contract.get(key, ()) if x.startswith("drystone.")}
    return {name for name in found if name.startswith("drystone.")}


def run_linter(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs import-linter on the package ``drystone`` that ``folder`` sees first."""
    return subprocess.run(
        [str(LINTER), "--no-cache"], cwd=folder, check=False, capture_output=True, text=True
    )


def plant(top: Path, dotted: str, line: str) -> None:
    """Adds ``line`` to a module below ``top``, making it and its parents where missing."""
    *parents, name = dotted.split(".")
    folder = top
    for parent in parents:
        folder /= parent
        if folder.with_suffix(".py").exists():
            folder.with_suffix(".py").unlink()
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    path = folder / name / "__init__.py" if (folder / name).is_dir() else folder / f"{name}.py"
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
