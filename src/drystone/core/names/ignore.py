# SPDX-License-Identifier: Apache-2.0
"""Ignore rules: which new names of a folder are left out of a sync.

Rules stand in files called ``.drystoneignore``, in any folder, in the syntax of gitignore.
Those of a folder count for all below it; deeper ones win over higher ones, and in one file
later lines over earlier ones. What the server has is never ignored: a rule that is added
later takes nothing away from anybody (docs/decisions/0022-ignore-rules.md).

Source: git's gitignore(5), "PATTERN FORMAT".
"""

from typing import Final, NamedTuple, Self

from pathspec import GitIgnoreSpec

IGNORE_FILE_NAME: Final = ".drystoneignore"


class Rule(NamedTuple):
    """A line of an ignore file.

    Attributes:
        file_path: Of the ignore file.
        line_number: From 1.
        text: As it stands there.
    """

    file_path: str
    line_number: int
    text: str


class _Layer(NamedTuple):
    """One ignore file: patterns and, in the same order, the lines they were made of."""

    folder_path: str
    spec: GitIgnoreSpec
    lines: tuple[tuple[int, str], ...]


class IgnoreRules:
    """The rules in force in one folder. Immutable; extended on the way down.

    Attributes:
        faults: Lines of the last file added that are no rules, and were left out.
    """

    __slots__ = ("_layers", "faults")

    def __init__(self, layers: tuple[_Layer, ...] = (), faults: tuple[str, ...] = ()) -> None:
        self._layers = layers
        self.faults = faults

    def __repr__(self) -> str:
        return f"IgnoreRules(files={len(self._layers)})"

    def __bool__(self) -> bool:
        return bool(self._layers)

    def extend(self, folder_path: str, text: str) -> Self:
        """Returns these rules with those of a file in ``folder_path`` on top.

        Args:
            folder_path: Of the folder in which the file stands; ``""`` for the root.
            text: What the file holds.
        """
        # The library leaves out empty lines; a pattern's index is that of its line here.
        lines = tuple((number, x) for number, x in enumerate(text.splitlines(), 1) if x)
        faults: tuple[str, ...] = ()
        try:
            spec = GitIgnoreSpec.from_lines(line for _, line in lines)
        except ValueError:
            faults = tuple(line for _, line in lines if not _is_rule(line))
            lines = tuple((number, line) for number, line in lines if _is_rule(line))
            spec = GitIgnoreSpec.from_lines(line for _, line in lines)
        return type(self)((_Layer(folder_path, spec, lines), *self._layers), faults)

    def is_ignored(self, path: str, *, is_folder: bool) -> bool:
        """Tells whether a path below the folders of all these rules is left out.

        Whatever is below an ignored folder is ignored with it: do not ask, do not descend.

        Cost: about 2 microseconds and the rules of each file on the way.
        """
        shown = f"{path}/" if is_folder else path
        for folder_path, spec, _ in self._layers:
            # Paths are handed over whole; each layer looks at what comes after its own folder.
            start = len(folder_path) + 1 if folder_path else 0
            found = spec.check_file(shown[start:]).include
            if found is not None:
                return found
        return False

    def find_rule(self, path: str, *, is_folder: bool) -> Rule | None:
        """Returns the rule that decides about a path, whether it leaves it out or takes it in;
        None if no rule speaks of it.
        """
        shown = f"{path}/" if is_folder else path
        for folder_path, spec, lines in self._layers:
            start = len(folder_path) + 1 if folder_path else 0
            index = spec.check_file(shown[start:]).index
            if index is not None:
                number, text = lines[index]
                above = f"{folder_path}/" if folder_path else ""
                return Rule(f"{above}{IGNORE_FILE_NAME}", number, text)
        return None


NO_RULES: Final = IgnoreRules()


def _is_rule(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
