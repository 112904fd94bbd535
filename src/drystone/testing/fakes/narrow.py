# SPDX-License-Identifier: Apache-2.0
"""Disks that cannot hold every name, as some filesystems of the world are."""

from typing import Final, TypeVar
from unicodedata import normalize

from drystone.client.ports import DiskProblem, DiskTraits
from drystone.core.names.standing import NameTraits, name_key, true_name

WIDE: Final = DiskTraits()
"""As ext4, XFS, Btrfs."""

CASEFOLD: Final = DiskTraits(NameTraits(folds_case=True, folds_forms=True))
"""As APFS, or a folder of ext4 made caseless: names are kept as given, but compared folded."""

HFS: Final = DiskTraits(NameTraits(folds_case=True, folds_forms=True, changes_forms=True))
"""As HFS+: names are stored decomposed, whatever is given."""

VFAT: Final = DiskTraits(
    NameTraits(
        folds_case=True,
        illegal=frozenset('\\:*?"<>|' + "".join(map(chr, range(1, 32)))),
        illegal_last=frozenset(". "),
        has_devices=True,
    ),
    holds_modes=False,
    holds_symlinks=False,
    mtime_step_ns=2_000_000_000,
)
"""As the filesystem of memory sticks."""

DISKS: Final = {"wide": WIDE, "casefold": CASEFOLD, "hfs": HFS, "vfat": VFAT}
"""By what they are called in scripts."""

V = TypeVar("V")


class FolderNames(dict[str, V]):
    """The names in a folder of a narrow disk. Whoever is given another spelling keeps the one
    under which something stands.
    """

    def __init__(self, traits: NameTraits) -> None:
        super().__init__()
        self.traits = traits
        self._spelled: dict[str, str] = {}

    def __getitem__(self, name: str) -> V:
        return super().__getitem__(self.spelled(name))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(self.spelled(name))

    def get(self, name: str, default: object = None) -> V | None:  # type: ignore[override]
        assert default is None
        return super().get(self.spelled(name))

    def __setitem__(self, name: str, value: V) -> None:
        check_names(self, name)
        stored = normalize("NFD", name) if self.traits.changes_forms else name
        stored = self._spelled.setdefault(name_key(name, self.traits), stored)
        super().__setitem__(stored, value)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(self.spelled(name))
        del self._spelled[name_key(name, self.traits)]

    def spelled(self, name: str) -> str:
        """Returns how a name is spelled here; the name itself if nothing stands under it."""
        return self._spelled.get(name_key(name, self.traits), name)


def find_shown(names: dict[str, V], name: str) -> str:
    """Returns what a person takes for a name who looks at a folder: what stands under it, or what
    stands for it. The name itself if there is neither.
    """
    if not isinstance(names, FolderNames):
        return name
    if name in names:
        return names.spelled(name)
    return next((one for one in names if true_name(one, names.traits) == name), name)


def names_of(traits: NameTraits) -> dict[str, V]:
    """Returns what holds the names of a folder of such a disk."""
    return FolderNames(traits) if traits.is_narrow else {}


def holds_name(name: str, traits: NameTraits) -> bool:
    """Tells whether such a disk takes a name."""
    stem = name.partition(".")[0].rstrip(" ").upper()
    return not (
        set(name) & traits.illegal
        or name[-1:] in traits.illegal_last
        or (traits.has_devices and stem in ("CON", "PRN", "AUX", "NUL", "COM1", "LPT1"))
    )


def check_names(names: dict[str, V], name: str) -> None:
    """Refuses a name that a folder cannot hold, as the system does."""
    if isinstance(names, FolderNames) and not holds_name(name, names.traits):
        raise DiskProblem(f"{name!r}: Invalid argument")
