# SPDX-License-Identifier: Apache-2.0
"""Housing: gives what is new a name to stand under, and one of its own to what shares one."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from drystone.client.adapters.narrow.places import FolderNames, Places, join
from drystone.client.ports import ChangedMeanwhile, Disk, DiskProblem, Observed, Skipped, Stat
from drystone.core.errors import Unavailable
from drystone.core.names.standing import NameTraits, true_name

_TRIES_MAX: Final = 4
"""Names tried for one entry: a disk may take for the same what nobody told us is."""

_AGAIN: Final = "Nothing to do: it is looked at again."


class Housing:
    """Use it under the lock of the places.

    Args:
        disk: The narrow one.
        places: What stands where on it.
        traits: Which names it cannot hold.
    """

    def __init__(self, disk: Disk, places: Places, traits: NameTraits) -> None:
        self._disk = disk
        self._places = places
        self._traits = traits

    def put_new(self, path: str, put: Callable[[str], Stat]) -> Stat:
        """Puts something where nothing stands: under the first name that the disk takes.

        Args:
            path: Its true path.
            put: Given where it is to stand; raises ``ChangedMeanwhile`` if something does.
        """
        folder, name = self._places.open_above(path)
        names = self._places.names(folder)
        refused: list[str] = []
        while True:
            if names.find(name) is not None:
                raise ChangedMeanwhile(f"something stands at {path!r}", advice=_AGAIN)
            standing = names.choose(name, refused=refused)
            try:
                stat = put(join(folder, standing))
            except ChangedMeanwhile:
                refused.append(standing)
                names = self._places.relearn(folder)
                if len(refused) == _TRIES_MAX:
                    raise
                continue
            names.add(name, standing)
            return stat

    def make_plain(self, folder: str, name: str, stat: Stat) -> Stat:
        """Gives something the plainest name that is free, if it has another; returns its stat."""
        names = self._places.names(folder)
        standing = names.standing[name]
        better = names.choose(name, leaving=standing)
        if better != standing:
            # If that fails, it goes on standing under a name that means the same.
            with suppress(DiskProblem, Unavailable):
                stat = self._disk.move(join(folder, standing), join(folder, better), stat)
                self._places.forget(join(folder, standing))
                names.remove(name, standing)
                names.add(name, better)
        return stat

    def part(
        self, folder: str, names: FolderNames, observed: Sequence[Observed]
    ) -> dict[str, Observed | Skipped]:
        """Gives a name of its own to each that means the same as a plainer one beside it.

        Returns what became of these, by the names they had.
        """
        doubles = set(names.doubles)
        parted: dict[str, Observed | Skipped] = {}
        for one in observed:
            if one.name not in doubles:
                continue
            source = join(folder, one.name)
            try:
                if names.find(one.name) is not None:
                    raise DiskProblem(f"{one.name!r} stands here twice")
                standing = names.choose(one.name)
                stat = self._disk.move(source, join(folder, standing), one.stat)
            except (DiskProblem, Unavailable) as error:
                other = true_name(one.name, self._traits)
                detail = f"it stands for {other!r}, which stands here, too: {error.message}"
                parted[one.name] = Skipped(one.name, "name-twice", detail, one.stat)
            else:
                self._places.forget(source)
                names.remove("", one.name)
                names.add(one.name, standing)
                parted[one.name] = one._replace(stat=stat)
        return parted
