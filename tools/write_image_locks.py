# SPDX-License-Identifier: Apache-2.0
"""Writes the locks of the container image: those lines of requirements.lock that it needs.

``deploy/container/runtime.lock`` is what the program imports, with all its engines;
``build.lock`` what makes the wheel. Run it after ``make lock``:
``.venv/bin/python tools/write_image_locks.py``. A test fails while they differ.
"""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "deploy" / "container"
EXTRAS = ("cloud", "nats", "postgres", "tracing", "valkey")
BUILD = ("hatchling",)

# Of the image, whatever runs this.
IMAGE = {"python_version": "3.11", "python_full_version": "3.11.14", "sys_platform": "linux"}

HEAD = "# Made by tools/write_image_locks.py from requirements.lock.\n"


def render() -> dict[str, str]:
    """Returns the content of each lock, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in EXTRAS for line in extras[name])]
    entries = _read_lock()
    return {
        "runtime.lock": HEAD + "".join(entries[name] for name in _close_over(wanted)),
        "build.lock": HEAD + "".join(entries[name] for name in _close_over(BUILD)),
    }


def main() -> None:
    """Brings the locks up to date."""
    for name, text in render().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _close_over(lines: Iterable[str]) -> list[str]:
    """Returns the names of packages and of all that they need on Linux, as installed here."""
    found: set[str] = set()
    waiting = [(Requirement(line), "") for line in lines]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({**IMAGE, "extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        needed = [Requirement(line) for line in requires(name) or ()]
        for wanted_extra in ("", *sorted(requirement.extras)):
            key = f"{name}[{wanted_extra}]"
            if key not in found:
                found.add(key)
                waiting += [(item, wanted_extra) for item in needed]
    return sorted({key.partition("[")[0] for key in found})


def _read_lock() -> dict[str, str]:
    """Returns each package's lines, hashes included and remarks left out."""
    entries: dict[str, str] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines(keepends=True):
        if begun := re.match(r"([a-z0-9._-]+)==", line):
            name = canonicalize_name(begun[1])
            entries[name] = line
        elif line.startswith("    --hash"):
            entries[name] += line
    return entries


if __name__ == "__main__":
    main()
