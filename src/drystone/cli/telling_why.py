# SPDX-License-Identifier: Apache-2.0
"""Telling why: the text of ``drystone why``, from the answer it has for programs."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from drystone.cli.output import format_bytes, format_table, format_when, printable, shorten

_VIEWS: Final = (("on the disk", "local"), ("agreed", "synced"), ("server", "remote"))
_MESSAGE_CHARS_MAX: Final = 300


def describe_why(found: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of ``drystone why``: the verdict, the evidence, the story."""
    verdict = shorten(found["verdict"], _MESSAGE_CHARS_MAX)
    yield f"{shorten(found['path'], _MESSAGE_CHARS_MAX)}: {verdict}."
    if found.get("standing_path"):
        yield (
            "This disk cannot hold its name: it stands as"
            f" {shorten(found['standing_path'], _MESSAGE_CHARS_MAX)}"
        )
    yield from _describe_views(found)
    yield from _describe_rule(found)
    yield from _describe_blocks(found)
    yield from _describe_story(found["story"])


def _describe_views(found: Mapping[str, Any]) -> Iterator[str]:
    rows = []
    for title, key in _VIEWS:
        view = found.get(key)
        if view is None:
            rows.append((title, "nothing", "", "", "", ""))
            continue
        size_bytes = view["size_bytes"]
        rows.append(
            (
                title,
                view["kind"],
                "" if size_bytes is None else format_bytes(size_bytes),
                view["modified"] or "",
                (view["content_hash"] or "")[:12],
                view["path"] or "",
            )
        )
    yield from format_table(("", "KIND", "SIZE", "MODIFIED", "CONTENT", "PATH"), rows, right=[2])


def _describe_rule(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Rule: {found['decision']['code']}"
    if found.get("rule"):
        rule = found["rule_line"]
        yield f"An ignore rule leaves out: {printable(found['rule'])}"
        yield (
            f"  {printable(rule['file_path'])}, line {rule['line_number']}:"
            f" {printable(rule['text'])}"
        )


def _describe_blocks(found: Mapping[str, Any]) -> Iterator[str]:
    for block in found["blocked_by"]:
        yield f"In its way: {shorten(block['message'], _MESSAGE_CHARS_MAX)}"
        if block["advice"]:
            yield f"  now: {printable(block['advice'])}"
    problem = found.get("problem")
    if problem and problem["advice"] and not found["blocked_by"]:
        yield f"Now: {printable(problem['advice'])}"
    if found["next_try_ns"] is not None:
        yield f"Tried next: {format_when(found['next_try_ns'])}"


def _describe_story(story: Mapping[str, Any]) -> Iterator[str]:
    if story["error"]:
        yield f"Its story is the server's to tell: {printable(story['error']['message'])}"
        return
    if not story["lines"]:
        if story["is_living"] is None:
            yield "The server never had it under this name, or no longer knows of it."
        return
    if story["deleted_with"]:
        yield f"It was deleted with its folder {printable(story['deleted_with'])}, whose story is:"
    else:
        yield "Its story, newest first:"
    rows = [
        (
            f"  {format_when(line['at_ns'])}",
            f"{line['account']} on {line['device']}",
            _describe_line(line, story["deleted_with"]),
        )
        for line in story["lines"]
    ]
    yield from format_table(("", "", ""), rows)
    if story["more_count"]:
        yield f"  and {story['more_count']:,} more: drystone why PATH --all"


def _describe_line(line: Mapping[str, Any], told_of: str) -> str:
    about = line["about"]
    return line["what"] if about in ("", told_of) else f"its folder {about}: {line['what']}"
