# SPDX-License-Identifier: Apache-2.0
"""Names: a word means one thing, and no name is a shrug."""

import ast
from collections.abc import Iterator

import pytest

from tests.house import exceptions
from tests.house.survey import SOURCE, Module, iter_classes, modules, parse_module, split_words

EACH_MODULE = pytest.mark.parametrize("module", modules(), ids=lambda module: module.name)

FILE_NAMES_BANNED = {
    "base", "common", "data", "engine", "helper", "helpers", "info", "manager", "managers",
    "misc", "stuff", "sync", "util", "utils",
}  # fmt: skip

CLASS_WORDS_BANNED = {
    "common", "data", "handler", "helper", "helpers", "info", "manager", "misc", "processor",
    "util", "utils",
}  # fmt: skip

# docs/glossary.md, column "never": only the words that mean nothing else in this code.
SYNONYMS_BANNED = {
    "acl": "grant",
    "backend": "engine",
    "blob": "block",
    "blocklist": "manifest",
    "clash": "conflict",
    "controller": "face",
    "crawl": "scan",
    "driver": "engine",
    "fsck": "scrub",
    "gc": "collect",
    "node": "entry",
    "plugin": "engine",
    "prune": "collect",
    "recipe": "manifest",
    "repo": "namespace",
    "splitter": "chunker",
    "vacuum": "collect",
}

# Folders that must speak an outside language where it differs from ours.
FOREIGN_SPEECH = (
    "src/drystone/server/faces/dropbox/",
    "src/drystone/server/faces/webdav/",
    "src/drystone/server/storage/objects_cloud/",
)


@EACH_MODULE
def test_file_name_says_what_is_inside(module: Module) -> None:
    # A command is named as it is asked: `drystone sync`.
    if not module.name.startswith("src/drystone/cli/commands/"):
        assert module.path.stem not in FILE_NAMES_BANNED
    assert not FILE_NAMES_BANNED & set(module.path.relative_to(SOURCE).parent.parts)


@EACH_MODULE
def test_class_names_say_what_they_are(module: Module) -> None:
    assert not list(shrugging_classes(module))


@EACH_MODULE
def test_identifiers_use_the_words_of_the_glossary(module: Module) -> None:
    found = {name: word for name, word in banned_synonyms(module) if not is_excepted(module, name)}
    assert not found, {name: f"say {SYNONYMS_BANNED[word]}" for name, word in found.items()}


def test_each_excepted_word_is_still_used() -> None:
    used = {f"{m.name}::{name}" for m in modules() for name, _ in banned_synonyms(m)}
    assert not exceptions.WORDS_ALLOWED.keys() - used


def test_these_rules_find_what_they_look_for() -> None:
    text = (
        "class SyncManager: ...\nclass BaseThing: ...\nclass BaseRevStale: ...\n"
        "def prune_blobs(repo_id): node = 1\nclass MetadataInfo:\n    acl: int\n"
    )
    planted = parse_module(SOURCE / "planted.py", text)

    assert list(shrugging_classes(planted)) == ["SyncManager", "BaseThing", "MetadataInfo"]
    assert dict(banned_synonyms(planted)) == {
        "prune_blobs": "prune",
        "repo_id": "repo",
        "node": "node",
        "acl": "acl",
    }


def shrugging_classes(module: Module) -> Iterator[str]:
    """Yields classes whose name holds a word that says nothing."""
    for node in iter_classes(module):
        words = split_words(node.name)
        # A base rev is a term of the glossary; a "base class" is a shrug.
        is_base = words[0] == "base" and words[1:2] not in (["rev"], ["tree"])
        if is_base or words[-1] == "base" or CLASS_WORDS_BANNED & set(words):
            yield node.name


def banned_synonyms(module: Module) -> Iterator[tuple[str, str]]:
    """Yields each identifier that this module makes with a banned word, and the word."""
    if module.name.startswith(FOREIGN_SPEECH):
        return
    for name in made_identifiers(module.tree):
        for word in split_words(name):
            if word in SYNONYMS_BANNED:
                yield name, word
                break


def is_excepted(module: Module, name: str) -> bool:
    """Tells whether the exception list gives this identifier a reason."""
    return f"{module.name}::{name}" in exceptions.WORDS_ALLOWED


def made_identifiers(tree: ast.AST) -> Iterator[str]:
    """Yields the names a module gives: definitions, parameters, variables, attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name):
                yield name
            case ast.arg(arg=name):
                yield name
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name
            case _:
                pass
