# SPDX-License-Identifier: Apache-2.0
"""Sizes: a file, a class, a function and a folder each fit in one head."""

import ast
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.house import exceptions
from tests.house.survey import (
    ROOT,
    SOURCE,
    FunctionNode,
    Module,
    code_lines_count,
    iter_classes,
    iter_functions,
    label,
    modules,
    parse_module,
)

MODULE_LINES_MAX = 600
CLASS_LINES_MAX = 250
FUNCTION_LINES_MAX = 70
FOLDER_MODULES_MAX = 14
PARAMETERS_MAX = 6

EACH_MODULE = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)


@EACH_MODULE
def test_module_is_not_longer_than_the_stop(module: Module) -> None:
    if module.name not in exceptions.MODULES_ALLOWED_LONG:
        assert module.lines_count <= MODULE_LINES_MAX, "which noun in it wants its own file?"


@EACH_MODULE
def test_classes_are_not_longer_than_the_stop(module: Module) -> None:
    found = dict(long_classes(module))
    assert not found.keys() - exceptions.CLASSES_ALLOWED_LONG.keys(), found


@EACH_MODULE
def test_functions_are_not_longer_than_the_stop(module: Module) -> None:
    found = dict(long_functions(module))
    assert not found.keys() - exceptions.FUNCTIONS_ALLOWED_LONG.keys(), found


@EACH_MODULE
def test_functions_take_few_parameters(module: Module) -> None:
    found = dict(wide_functions(module))
    assert not found.keys() - exceptions.FUNCTIONS_ALLOWED_WIDE.keys(), found


def test_folders_gain_a_floor_before_they_are_full() -> None:
    full = full_folders()
    assert not full.keys() - exceptions.FOLDERS_ALLOWED_FULL.keys(), full


def test_each_exception_is_still_needed() -> None:
    everything = modules()
    long_ones = {m.name for m in everything if m.lines_count > MODULE_LINES_MAX}
    needed = {
        "modules": long_ones,
        "classes": {name for m in everything for name, _ in long_classes(m)},
        "functions": {name for m in everything for name, _ in long_functions(m)},
        "folders": set(full_folders()),
        "parameters": {name for m in everything for name, _ in wide_functions(m)},
    }
    listed = {
        "modules": exceptions.MODULES_ALLOWED_LONG,
        "classes": exceptions.CLASSES_ALLOWED_LONG,
        "functions": exceptions.FUNCTIONS_ALLOWED_LONG,
        "folders": exceptions.FOLDERS_ALLOWED_FULL,
        "parameters": exceptions.FUNCTIONS_ALLOWED_WIDE,
    }
    for kind, entries in listed.items():
        assert not entries.keys() - needed[kind], f"{kind}: take these off the list"
        assert all(entries.values()), f"{kind}: each exception tells its reason"


def test_these_rules_find_what_they_look_for() -> None:
    body = "\n".join(f"        x{i} = {i}" for i in range(CLASS_LINES_MAX))
    text = f"class Big:\n    def much(self, a, b, c, d, e, f, g, *, h):\n{body}\n"
    planted = parse_module(SOURCE / "planted.py", text)

    assert [name for name, _ in long_classes(planted)] == ["src/drystone/planted.py::Big"]
    assert [name for name, _ in long_functions(planted)] == ["src/drystone/planted.py::Big.much"]
    assert dict(wide_functions(planted)) == {"src/drystone/planted.py::Big.much": 7}


def long_classes(module: Module) -> Iterator[tuple[str, int]]:
    """Yields each class beyond the stop with its lines."""
    for node in iter_classes(module):
        if (length := code_lines_count(node)) > CLASS_LINES_MAX:
            yield f"{module.name}::{node.name}", length


def long_functions(module: Module) -> Iterator[tuple[str, int]]:
    """Yields each function beyond the stop with its lines, docstring not counted."""
    for name, node, _ in iter_functions(module):
        if (length := code_lines_count(node)) > FUNCTION_LINES_MAX:
            yield f"{module.name}::{name}", length


def wide_functions(module: Module) -> Iterator[tuple[str, int]]:
    """Yields each function with too many parameters that a caller may give by position."""
    for name, node, owner in iter_functions(module):
        if (count := positional_parameters_count(node, owner)) > PARAMETERS_MAX:
            yield f"{module.name}::{name}", count


def positional_parameters_count(node: FunctionNode, owner: ast.ClassDef | None) -> int:
    """Counts parameters without ``self`` or ``cls`` and without keyword-only ones."""
    count = len(node.args.posonlyargs) + len(node.args.args)
    is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    return count - 1 if owner is not None and not is_static else count


def full_folders() -> dict[str, int]:
    """Returns each source folder with too many modules; its door is not counted."""
    counts = Counter(m.path.parent for m in modules() if m.path.name != "__init__.py")
    return {
        label(folder): count
        for folder, count in counts.items()
        if count > FOLDER_MODULES_MAX and folder.is_relative_to(ROOT)
    }
