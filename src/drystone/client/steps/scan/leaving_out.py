# SPDX-License-Identifier: Apache-2.0
"""Leaving out: what ignore rules leave out of a sync, and what other rules would.

Nothing here changes anything. Rules are asked about what the server does not have: see
``core.names.ignore``.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drystone.client.ports import ChangedMeanwhile, Disk, DiskProblem, Observed, State
from drystone.client.steps.scan.rules import join_names, read_rules
from drystone.client.steps.scan.values import CONTROL_NAME
from drystone.core.errors import DrystoneError
from drystone.core.ids import ROOT_ID, FileId
from drystone.core.names.ignore import IGNORE_FILE_NAME, NO_RULES, IgnoreRules, Rule
from drystone.core.tree.entry import Kind

_SAMPLES_MAX: Final = 20


@dataclass(slots=True)
class Group:
    """Files and folders that rules treat alike.

    Attributes:
        files_count: Files and symlinks.
        folders_count: Folders.
        size_bytes: Of the files.
        samples: Paths of some of them, those that stand for others: a folder, not what is in
            it. A folder's ends in a slash.
    """

    files_count: int = 0
    folders_count: int = 0
    size_bytes: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, path: str, observed: Observed, *, is_told: bool) -> None:
        """Counts one. ``is_told``: it may be a sample."""
        is_folder = observed.stat.kind == Kind.FOLDER
        if is_folder:
            self.folders_count += 1
        else:
            self.files_count += 1
            self.size_bytes += observed.stat.size_bytes
        if is_told and len(self.samples) < _SAMPLES_MAX:
            self.samples.append(f"{path}/" if is_folder else path)


class Comparison(NamedTuple):
    """What other rules would change.

    Attributes:
        dropped: Carried, or to be carried, by the rules in force, and no longer by the others:
            all of it stands on this disk only.
        taken_in: The reverse.
        left_out: Left out by both.
        kept: The other rules speak of it, but the server has it: it stays in step.
        faults: Lines of the other rules that are no rules.
    """

    dropped: Group
    taken_in: Group
    left_out: Group
    kept: Group
    faults: tuple[str, ...]


class LeftOut(NamedTuple):
    """Why a path is left out: the rule, and the path of what it leaves out with all below."""

    path: str
    rule: Rule


def find_left_out(disk: Disk, state: State, path: str) -> LeftOut | None:
    """Returns what leaves a path out, if it is left out. Uses State and disk."""
    rules, above = NO_RULES, ""
    folder_id: FileId | None = ROOT_ID
    names = path.split("/") if path else []
    for index, name in enumerate(names):
        with suppress(DrystoneError):
            rules = read_rules(disk, above, rules)
        here = join_names(above, name)
        on_server = folder_id is not None and name in state.remote.children(folder_id)
        is_folder = index < len(names) - 1 or _is_folder(disk, here)
        if rules and not on_server and rules.is_ignored(here, is_folder=is_folder):
            rule = rules.find_rule(here, is_folder=is_folder)
            return None if rule is None else LeftOut(here, rule)
        folder_id = _find_child(state, folder_id, name)
        above = here
    return None


def compare_rules(disk: Disk, state: State, folder: str, text: str | None) -> Comparison:
    """Compares the rules in force with those that another ignore file in a folder would make.

    Uses State and disk; reads all listings below the folder, changes nothing.

    Args:
        disk: The synced folder.
        state: Its trees.
        folder: In which the ignore file stands; ``""`` for the root.
        text: What the file would hold; None: as it is, so that nothing differs.

    Cost: one listing and one query per folder.
    """
    rules, above = NO_RULES, ""
    folder_id: FileId | None = ROOT_ID
    for name in folder.split("/") if folder else []:
        rules = read_rules(disk, above, rules)
        folder_id = _find_child(state, folder_id, name)
        above = join_names(above, name)
    now = read_rules(disk, folder, rules)
    then = now if text is None else rules.extend(folder, text)
    comparing = _Comparing(disk, state)
    comparing.run(_Place(folder, folder_id, now, then))
    groups = comparing.groups
    return Comparison(
        groups["dropped"], groups["taken_in"], groups["left_out"], groups["kept"], then.faults
    )


class _Place(NamedTuple):
    """A folder to look into.

    Attributes:
        path: Its path.
        file_id: Its id in the trees; None if it is in none.
        now: The rules in force in it; None: it is left out with all below.
        then: Those that would be.
    """

    path: str
    file_id: FileId | None
    now: IgnoreRules | None
    then: IgnoreRules | None


class _Comparing:
    """One walk."""

    def __init__(self, disk: Disk, state: State) -> None:
        self.groups = {name: Group() for name in ("dropped", "taken_in", "left_out", "kept")}
        self._disk = disk
        self._state = state

    def run(self, top: _Place) -> None:
        places = [top]
        while places:
            place = places.pop()
            try:
                listing = self._disk.list_folder(place.path)
            except (DiskProblem, ChangedMeanwhile):
                continue  # The scan tells of it.
            names = {one.name for one in listing.observed}
            if place.path and CONTROL_NAME in names:
                continue
            if place is not top and IGNORE_FILE_NAME in names:
                place = self._extended(place)
            places += reversed(self._look_at(place, listing.observed))

    def _extended(self, place: _Place) -> _Place:
        now, then = place.now, place.then
        return place._replace(
            now=None if now is None else read_rules(self._disk, place.path, now),
            then=None if then is None else read_rules(self._disk, place.path, then),
        )

    def _look_at(self, place: _Place, children: Sequence[Observed]) -> list[_Place]:
        path, file_id, now, then = place
        on_server: Collection[str] = ()
        if file_id is not None:
            on_server = self._state.remote.children(file_id)
        below: list[_Place] = []
        for observed in sorted(children):
            name = observed.name
            is_folder = observed.stat.kind == Kind.FOLDER
            here = join_names(path, name)
            is_out_now = now is None or bool(now and now.is_ignored(here, is_folder=is_folder))
            is_out_then = then is None or bool(then and then.is_ignored(here, is_folder=is_folder))
            if name in on_server:
                if is_out_then:
                    self.groups["kept"].add(here, observed, is_told=True)
                is_out_now = is_out_then = False
            elif is_out_now or is_out_then:
                self._group(is_out_now=is_out_now, is_out_then=is_out_then).add(
                    here, observed, is_told=(is_out_now, is_out_then) != (now is None, then is None)
                )
            if is_folder:
                child_id = _find_child(self._state, file_id, name)
                below.append(
                    _Place(
                        here, child_id, None if is_out_now else now, None if is_out_then else then
                    )
                )
        return below

    def _group(self, *, is_out_now: bool, is_out_then: bool) -> Group:
        if is_out_now and is_out_then:
            return self.groups["left_out"]
        return self.groups["taken_in" if is_out_now else "dropped"]


def _find_child(state: State, folder_id: FileId | None, name: str) -> FileId | None:
    """Returns the id of a folder that stands in a known folder, as the disk's tree knows it."""
    if folder_id is None:
        return None
    entry = state.local.children(folder_id).get(name)
    return None if entry is None or entry.kind != Kind.FOLDER else entry.file_id


def _is_folder(disk: Disk, path: str) -> bool:
    try:
        stat = disk.find_stat(path)
    except DiskProblem:
        return False
    return stat is not None and stat.kind == Kind.FOLDER
