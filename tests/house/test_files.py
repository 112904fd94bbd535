# SPDX-License-Identifier: Apache-2.0
"""Files: what every tracked file must hold, and what none may."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.survey import ROOT, SOURCE, Module, documents, label, modules, text_files

SPDX = "SPDX-License-Identifier: Apache-2.0"
SPDX_SUFFIXES = {".css", ".html", ".js", ".mjs", ".py", ".pyi", ".sh", ".sql", ".toml", ".ts"}

# Written in halves, so that this file may hold them.
MACHINE_PATHS = re.compile("(?<![\\w~.$}])/(?:" + "|".join(["wo" + "rk", "ro" + "ot"]) + ")/")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(host)
        for host in [
            "py" + "pi.org",
            "files.python" + "hosted.org",
            "registry.npm" + "js.org",
            "registry.yarn" + "pkg.com",
            "index.crates" + ".io",
            "proxy.go" + "lang.org",
        ]
    )
)
TODO_WITHOUT_ISSUE = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b(?!\(?\s*#\d+)")

LINE_COUNT_OF_A_ROOM_DOOR_MIN = 4

EACH_TEXT_FILE = pytest.mark.parametrize("path", text_files(), ids=label)
EACH_PACKAGE = pytest.mark.parametrize(
    "door", [m for m in modules() if m.path.name == "__init__.py"], ids=lambda door: door.name
)


@pytest.mark.parametrize("path", [p for p in text_files() if p.suffix in SPDX_SUFFIXES], ids=label)
def test_source_file_names_its_license_at_the_top(path: Path) -> None:
    top = "\n".join(path.read_text(encoding="utf-8").splitlines()[:3])
    # An empty marker of a package has nothing to license; third-party files keep their own.
    assert SPDX in top or "vendored" in path.parts


@EACH_TEXT_FILE
def test_file_names_no_path_of_the_machine_it_was_written_on(path: Path) -> None:
    assert not MACHINE_PATHS.findall(path.read_text(encoding="utf-8"))


@EACH_TEXT_FILE
def test_file_names_no_package_registry(path: Path) -> None:
    assert not REGISTRY_HOSTS.findall(path.read_text(encoding="utf-8"))


@EACH_TEXT_FILE
def test_what_is_left_to_do_has_an_issue_number(path: Path) -> None:
    assert not TODO_WITHOUT_ISSUE.findall(path.read_text(encoding="utf-8"))


@EACH_PACKAGE
def test_package_tells_its_story_at_the_door(door: Module) -> None:
    story = ast.get_docstring(door.tree)
    assert story, "say what this room does, how, and what it does not promise"
    if door.path.parent.parent == SOURCE:
        assert len(story.splitlines()) >= LINE_COUNT_OF_A_ROOM_DOOR_MIN


@EACH_PACKAGE
def test_door_holds_no_code(door: Module) -> None:
    code = [
        ast.unparse(statement)
        for statement in door.tree.body
        if not isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
    ]
    assert not code


def test_package_itself_is_light_to_import() -> None:
    door = next(m for m in modules() if m.path == SOURCE / "__init__.py")
    assert not [n for n in ast.walk(door.tree) if isinstance(n, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("page", documents(), ids=label)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(<?([^)#?\s>]+)[^)]*\)", text)
    local = [t for t in targets if not re.match(r"[a-z][a-z0-9+.-]*:", t)]
    assert not [t for t in local if not (page.parent / t).exists()]


@pytest.mark.parametrize("module", modules(ROOT / "tests"), ids=lambda module: module.name)
def test_every_test_is_collected(module: Module) -> None:
    has_tests = any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for node in module.tree.body
    )
    assert not has_tests or module.path.name.startswith("test_")


def test_lock_holds_hashes_only() -> None:
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        assert re.match(
            r"[a-z0-9._-]+==\S+( ; .+)? \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$|\s*#", line
        )


def test_these_rules_find_what_they_look_for() -> None:
    top = "/" + "work"
    assert MACHINE_PATHS.search(f"open('{top}/x')")
    assert not MACHINE_PATHS.search(f"~{top}/x and my{top}/x")
    assert REGISTRY_HOSTS.search("https://" + "py" + "pi.org/simple")
    assert TODO_WITHOUT_ISSUE.search("# TO" + "DO later")
    assert not TODO_WITHOUT_ISSUE.search("# TO" + "DO(#12) later")
